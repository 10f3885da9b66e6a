"""Rewrite requirements.lock: resolve the requirements anew, and write down which releases that gives.

Nothing is installed. The releases are those that the oldest supported Python can use, its first patch release:
Debian 12 has 3.11.2, and a lock made with 3.11.7 once held a package that wants 3.11.5.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = "3.11.0"
# Not ours to pin: what a virtual environment brings along, and the package in this checkout.
LEFT_OUT = {"pip", "setuptools", "genmodels"}

HEADER = f"""\
# The exact releases that this repository is tested with. `make` passes this file to pip as constraints (-c),
# so it installs nothing by itself: the requirements files say what is wanted, this one says which release.
# A line for a package that a platform does not need has no effect there.
# Made by `make lock`, for Python {OLDEST} and newer, on {sys.platform}.
# Do not edit: change requirements.txt or requirements-dev.txt, then run `make lock`.
"""


def resolve() -> dict[str, str]:
    """The release of each package, by its normalized name."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--dry-run"]
        # pip resolves for another Python only from wheels, and only into a folder of its own.
        oldest = ["--python-version", OLDEST, "--only-binary", ":all:", "--target", folder, "--ignore-installed"]
        what = ["--report", str(report), "-r", "requirements-dev.txt"]
        subprocess.run([*pip, *oldest, *what], cwd=ROOT, check=True)
        found = [entry["metadata"] for entry in json.loads(report.read_text())["install"]]
    releases = {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in found}
    return {name: releases[name] for name in sorted(releases.keys() - LEFT_OUT)}


if __name__ == "__main__":
    print("Resolving anew. This takes a minute or two.", flush=True)
    try:
        releases = resolve()
    except subprocess.CalledProcessError:
        sys.exit("requirements.lock is as it was: pip found no set of releases, for the reason above.")
    lines = [f"{name}=={version}\n" for name, version in releases.items()]
    (ROOT / "requirements.lock").write_text(HEADER + "".join(lines))
    print(f"requirements.lock: {len(lines)} packages. Run `make test` before committing it.")

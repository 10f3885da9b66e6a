"""Rewrite requirements.lock: resolve requirements-dev.txt in a fresh environment, and write down what came.

The environment is made in a temporary folder and removed. It needs the disk and the minutes of a first `make`.
"""

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Not ours to pin: what a virtual environment brings along, and the package in this checkout.
LEFT_OUT = ["pip", "setuptools", "wheel", "genmodels"]

HEADER = """\
# The exact versions that this repository is tested with. `make` passes this file to pip as constraints (-c), so it
# installs nothing by itself: requirements.txt and requirements-dev.txt say what is wanted, this file which release.
# A line for a package that a platform does not need has no effect there.
# Made by `make lock` with Python {python} on {system} {machine}. Do not edit: change requirements*.txt, then `make lock`.
"""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="lock-") as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        print("Resolving and installing anew. This takes some minutes.", flush=True)
        subprocess.run([*pip, "install", "--quiet", "-r", "requirements-dev.txt"], cwd=ROOT, check=True)
        subprocess.run([*pip, "check"], check=True)
        exclude = [argument for name in LEFT_OUT for argument in ("--exclude", name)]
        frozen = subprocess.run([*pip, "freeze", *exclude], capture_output=True, text=True, check=True).stdout
    header = HEADER.format(
        python=".".join(platform.python_version_tuple()[:2]), system=platform.system(), machine=platform.machine()
    )
    (ROOT / "requirements.lock").write_text(header + frozen)
    print(f"requirements.lock: {len(frozen.splitlines())} packages. Run `make test` before committing it.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[1:4]))
        sys.exit(f"requirements.lock is as it was: `python {command} ...` failed; its own words are above.")

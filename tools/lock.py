"""Rewrite requirements.lock: resolve requirements-dev.txt in a fresh environment, and write down what came.

The environment is made in a temporary folder and removed. It takes the disk and the minutes of a first make.
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
# The exact versions that this repository is tested with. `make` passes this file to pip as constraints (-c),
# so it installs nothing by itself: the requirements files say what is wanted, this one says which release.
# A line for a package that a platform does not need has no effect there.
# Made by `make lock` with Python {python} on {system} {machine}.
# Do not edit: change requirements.txt or requirements-dev.txt, then run `make lock`.
"""


def resolve() -> str:
    """Install in a fresh environment; return the lines of pip freeze."""
    with tempfile.TemporaryDirectory(prefix="lock-") as folder:
        venv = Path(folder) / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        print("Resolving and installing anew. This takes some minutes.", flush=True)
        subprocess.run([*pip, "install", "--quiet", "-r", "requirements-dev.txt"], cwd=ROOT, check=True)
        subprocess.run([*pip, "check"], check=True)
        exclude = [argument for name in LEFT_OUT for argument in ("--exclude", name)]
        command = [*pip, "freeze", *exclude]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def header() -> str:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return HEADER.format(python=python, system=platform.system(), machine=platform.machine())


if __name__ == "__main__":
    try:
        frozen = resolve()
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[1:4]))
        sys.exit(f"requirements.lock is as it was: `python {command} ...` failed, for the reason above.")
    (ROOT / "requirements.lock").write_text(header() + frozen)
    print(f"requirements.lock: {len(frozen.splitlines())} packages. Run `make test` before committing it.")

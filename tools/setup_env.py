"""Make the virtual environment of the checkout, or bring it up to date. Standard library only.

The environment is `.venv`. It is made once, and installed into again when the content of a file that says what
belongs in it changes. A stamp inside it holds a digest of those files: modification times will not do, because
switching branches changes them. The stamp is taken away before an install and written after it, so an
interrupted install is done again.

Every failure that a newcomer can meet ends in one paragraph that says what to do, and exit status 2.
"""

import argparse
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

INPUTS = ("requirements.txt", "requirements-dev.txt", "requirements.lock", "pyproject.toml")

# The finished environment was measured at 6.4 GB with the CUDA build of torch, which is the one that pip gets
# on Linux, and the wheels lie beside it while they are unpacked. Elsewhere torch comes without CUDA.
NEEDED_GB_CUDA = 10.0
NEEDED_GB_CPU = 3.0

# What pip's log says when the fault is the network's. Order does not matter; the first that is there decides.
NETWORK_SIGNS = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ConnectionResetError",
    "ReadTimeoutError",
    "ProxyError",
    "SSLError",
    "NameResolutionError",
    "connection error:",
    "Connection refused",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "HTTP error 5",
)
DISK_SIGNS = ("No space left on device", "Disk quota exceeded")


class SetupError(Exception):
    """What went wrong and what to do about it, in one paragraph for the person at the terminal."""


def digest(root: Path) -> str:
    """Hash what decides the environment: the input files, and where the checkout lies.

    The place counts because the scripts in a virtual environment hold its absolute path: a checkout that was
    moved or copied needs a new one.
    """
    h = hashlib.sha256(str(root).encode())
    for name in INPUTS:
        content = (root / name).read_bytes() if (root / name).exists() else b"(none)"
        h.update(b"%s %d\n" % (name.encode(), len(content)))
        h.update(content)
    return h.hexdigest()


def needed_gb() -> float:
    return NEEDED_GB_CUDA if platform.system() == "Linux" else NEEDED_GB_CPU


def check_disk(root: Path, free_bytes: Callable[[Path], int]) -> None:
    free, needed = free_bytes(root) / 1e9, needed_gb()
    if free < needed:
        raise SetupError(
            f"The disk that holds {root} has {free:.1f} GB free, and setting up takes {needed:.0f} GB: torch and the "
            "CUDA libraries that come with it on Linux are most of that. Free some space, or clone the repository to a "
            "disk that has it, and run make again."
        )


def check_venv_module(find_spec: Callable[[str], object] = importlib.util.find_spec) -> None:
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"{sys.executable} comes without the standard module{'s' * (len(missing) > 1)} {' and '.join(missing)}, so "
            f"it can't make a virtual environment. On Debian and Ubuntu: apt install {version}-venv. Elsewhere, install "
            "a complete Python and name it: make PYTHON=/path/to/python3.12."
        )


def venv_python(venv: Path) -> Path:
    return venv / "bin" / "python"


def usable(venv: Path, version: tuple[int, int] | None) -> bool:
    """Whether the environment has a working, new enough Python with pip; of `version`, if that is given."""
    query = "import pip, sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([venv_python(venv), "-I", "-c", query], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False  # not there, its base Python is gone, or making it was interrupted
    found = tuple(int(part) for part in answer.stdout.split())
    return found >= (3, 11) and version in (None, found)


def make_venv(venv: Path) -> None:
    run = subprocess.run([sys.executable, "-m", "venv", "--clear", venv], capture_output=True, text=True)
    if run.returncode:
        raise SetupError(
            f"{sys.executable} -m venv {venv} failed. It said:\n{indent(run.stdout + run.stderr)}\n"
            "If that does not tell you what to do, try another Python: make PYTHON=/path/to/python3.12."
        )


def pip_command(venv: Path, log: Path) -> list[str]:
    # -I keeps a PYTHONPATH that is set for something else out of the installation.
    command = [str(venv_python(venv)), "-I", "-m", "pip", "--disable-pip-version-check", "--log", str(log)]
    return [*command, "install", *([] if sys.stdout.isatty() else ["--quiet"])]


def install(root: Path, venv: Path, log: Path) -> None:
    log.unlink(missing_ok=True)
    temporary = venv / "tmp"  # gigabytes of wheels: they go to the disk that was measured, not to a small /tmp
    temporary.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k not in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")}
    env["TMPDIR"] = str(temporary)
    lock = ["-c", "requirements.lock"] if (root / "requirements.lock").exists() else []
    pip = pip_command(venv, log)
    try:
        for arguments in (["-r", "requirements-dev.txt", *lock], ["--no-deps", "--editable", "."]):
            run = subprocess.run([*pip, *arguments], cwd=root, env=env, stderr=subprocess.PIPE, text=True)
            if run.returncode:
                text = log.read_text(errors="replace") if log.exists() else run.stderr
                raise SetupError(explain(text, run.stderr, log))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def explain(text: str, stderr: str, log: Path) -> str:
    """Turn pip's log and its errors into a paragraph."""
    whole = f"The whole log is {log}."
    if any(sign in text for sign in DISK_SIGNS):
        return (
            "The disk filled up while packages were being installed. Free some space and run make again: it starts the "
            f"installation over. {whole}"
        )
    for sign in NETWORK_SIGNS:
        if sign in text:
            line = next(line for line in text.splitlines() if sign in line)
            return (
                "The package registry could not be reached, so nothing could be installed. Check the network, and if "
                "you are behind a proxy or use a mirror, the settings HTTPS_PROXY and PIP_INDEX_URL; then run make "
                f"again. The first trouble was:\n{indent(line)}\n{whole}"
            )
    tail = [line for line in stderr.splitlines() if line.strip()][-15:]
    return f"pip could not install the packages. It ended with:\n{indent(chr(10).join(tail))}\n{whole}"


def indent(text: str) -> str:
    return "\n".join("    " + line.strip()[:300] for line in text.strip().splitlines())


def lock_checkout(root: Path) -> None:
    """Let a second make in the same checkout wait for the first, where the file system can do that."""
    try:
        import fcntl

        fcntl.flock(os.open(root, os.O_RDONLY), fcntl.LOCK_EX)  # held until this process ends
    except (ImportError, OSError):
        pass


def free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


def set_up(root: Path, *, chosen: bool = False, free_bytes: Callable[[Path], int] = free_bytes) -> bool:
    """Bring `root/.venv` up to date; return whether anything had to be done.

    `chosen`: whether the person named this very Python, so that an environment of another version must go.
    Raises SetupError.
    """
    lock_checkout(root)
    venv, wanted = root / ".venv", digest(root)
    stamp, log = venv / "setup-digest", venv / "setup.log"
    version = (sys.version_info.major, sys.version_info.minor) if chosen else None
    stamped = stamp.read_text().split() if stamp.exists() else []
    fits = usable(venv, version)
    if fits and stamped == [wanted]:
        return False

    check_venv_module()
    if fits:
        print("Bringing .venv up to date: what belongs in it has changed, or an install was interrupted.", flush=True)
    else:
        check_disk(root, free_bytes)
        print("Making .venv with", sys.executable, flush=True)
        make_venv(venv)
    stamp.unlink(missing_ok=True)
    print(f"Installing into .venv: gigabytes the first time, so some minutes. The log is {log}", flush=True)
    install(root, venv, log)
    stamp.write_text(wanted + "\n")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chosen", action="store_true", help="this Python was asked for by name")
    chosen = parser.parse_args().chosen
    try:
        set_up(Path(__file__).resolve().parent.parent, chosen=chosen)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The next make does what is left.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

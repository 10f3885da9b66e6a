"""Make the virtual environment of the checkout, or bring it up to date. Standard library only.

The environment is `.venv`. It is made once, and installed into again when the content of a file that says
what belongs in it changes. A stamp inside it holds a digest of those files: modification times will not do,
because switching branches changes them. The stamp is taken away before an install and written after it, so
an interrupted install is done again.

Every failure that a newcomer can meet ends in one paragraph that says what to do, and exit status 2.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

INPUTS = ("requirements.txt", "requirements-dev.txt", "requirements.lock", "pyproject.toml")

# Measured, in GB of 10^9 bytes: an install with the CUDA build of torch, which is what pip gets on Linux,
# peaks at 10.1 with the wheels lying beside what is unpacked from them, and leaves 6.8. Elsewhere torch
# comes without CUDA.
PEAK_CUDA, WHEELS_CUDA = 10.5, 3.5
PEAK_CPU, WHEELS_CPU = 3.0, 1.0

# What pip says when the fault is the network's, or the disk's.
NETWORK_SIGNS = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ConnectionResetError",
    "ReadTimeoutError",
    "ProxyError",
    "SSLError",
    "NameResolutionError",
    "Connection refused",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "HTTP error 5",
)
DISK_SIGNS = ("No space left on device", "Disk quota exceeded")


class SetupError(Exception):
    """What went wrong and what to do about it, for the person at the terminal.

    Indented lines are quoted from elsewhere, and shown as they are.
    """


def digest(root: Path) -> str:
    """Hash the files that decide what belongs in the environment."""
    h = hashlib.sha256()
    for name in INPUTS:
        content = (root / name).read_bytes() if (root / name).exists() else b"(none)"
        h.update(b"%s %d\n" % (name.encode(), len(content)))
        h.update(content)
    return h.hexdigest()


def check_disk(root: Path, cache: Path | None, free_bytes: Callable[[Path], int]) -> bool:
    """Raise SetupError where the environment does not fit.

    Returns whether the wheels fit as well in `cache`, the folder that pip keeps them in; None: it keeps none.
    """
    peak, wheels = (PEAK_CUDA, WHEELS_CUDA) if platform.system() == "Linux" else (PEAK_CPU, WHEELS_CPU)
    free = free_bytes(root) / 1e9
    if free < peak:
        raise SetupError(
            f"The disk that holds {root} has {free:.1f} GB free, and setting up takes {peak:.1f} GB: torch, "
            "and the CUDA libraries that come with it on Linux, are most of that. Free some space, or clone "
            "the repository to a disk that has it, and run make again."
        )
    if cache is None:
        return False
    shared = root.stat().st_dev == cache.stat().st_dev
    return free_bytes(cache) / 1e9 > wheels + (peak if shared else 0)


def check_venv_module(find_spec: Callable[[str], object] = importlib.util.find_spec) -> None:
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"{sys.executable} comes without {' and '.join(missing)} of the standard library, so it can't "
            f"make a virtual environment. On Debian and Ubuntu: apt install {version}-venv. Elsewhere, "
            "install a complete Python and name it: make PYTHON=/path/to/python3.12."
        )


def venv_python(venv: Path) -> Path:
    return venv / "bin" / "python"


def usable(venv: Path, version: tuple[int, int] | None) -> bool:
    """Whether the environment has a working, new enough Python with pip; of `version`, if that is given.

    One that was made elsewhere will not do: its scripts hold the path of a checkout that was moved or copied.
    """
    query = "import importlib.util as i, sys; print(*sys.version_info[:2]); sys.exit(not i.find_spec('pip'))"
    command = [str(venv_python(venv)), "-I", "-c", query]
    try:
        made_with = re.search(r"^command = (.*)$", (venv / "pyvenv.cfg").read_text(), re.M)
        if not made_with or not made_with[1].endswith(f" {venv}"):
            return False
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False  # not there, its base Python is gone, or making it was interrupted
    major, minor = map(int, answer.split())
    return (major, minor) >= (3, 11) and version in (None, (major, minor))


def make_venv(venv: Path) -> None:
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SetupError(
            f"{' '.join(command)} failed. It said:\n{quote(run.stdout + run.stderr)}\n"
            "If that does not tell you what to do, try another Python: make PYTHON=/path/to/python3.12."
        )


def pip(venv: Path) -> list[str]:
    # -I keeps a PYTHONPATH that is set for something else out of the installation.
    return [str(venv_python(venv)), "-I", "-m", "pip", "--disable-pip-version-check"]


def pip_environment(venv: Path) -> dict[str, str]:
    """The environment for pip, without settings that would make it install elsewhere than into `venv`."""
    env = {k: v for k, v in os.environ.items() if k not in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")}
    env["TMPDIR"] = str(venv / "tmp")  # gigabytes of wheels: to the disk that was measured, not a small /tmp
    return env


def cache_folder(venv: Path) -> Path | None:
    """Where pip keeps downloaded wheels, or the nearest folder above that exists; None if it keeps none."""
    run = subprocess.run([*pip(venv), "cache", "dir"], capture_output=True, text=True)
    if run.returncode:
        return None
    folder = Path(run.stdout.strip())
    return next(place for place in (folder, *folder.parents) if place.exists())


def install(root: Path, venv: Path, log: Path, options: list[str]) -> None:
    """Run pip twice: for all requirements, then for this package, editable. What it says goes to `log`."""
    lock = ["-c", "requirements.lock"] if (root / "requirements.lock").exists() else []
    command = [*pip(venv), "install", "--progress-bar", "off", *options]
    (venv / "tmp").mkdir(exist_ok=True)
    try:
        log.write_text("")
        for arguments in (["-r", "requirements-dev.txt", *lock], ["--no-deps", "--editable", "."]):
            if run_logged([*command, *arguments], root, pip_environment(venv), log):
                raise SetupError(explain(log.read_text(), log))
    finally:
        shutil.rmtree(venv / "tmp", ignore_errors=True)


def run_logged(command: list[str], cwd: Path, env: dict[str, str], log: Path) -> int:
    """Append a command's output to `log`, show the lines that stand for a wait, and return its status."""
    output = subprocess.PIPE
    with (
        log.open("a") as out,
        subprocess.Popen(
            command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
    ):
        for line in process.stdout or ():
            out.write(line)
            if re.match(r"\s*(Downloading|Using cached) \S+ \((\d{3,}\S* MB|\S+ GB)", line):
                print(" ", line.strip(), flush=True)
            elif line.startswith("Installing collected packages:") and "," in line:
                print(f"  Unpacking {line.count(',') + 1} packages", flush=True)
    return process.returncode


def explain(text: str, log: Path) -> str:
    """Turn what pip said into a paragraph."""
    whole = f"All that pip said is in {log}."
    if any(sign in text for sign in DISK_SIGNS):
        return (
            "The disk filled up while packages were being installed. Free some space and run make again: it "
            f"starts the installation over. {whole}"
        )
    for line in text.splitlines():
        if any(sign in line for sign in NETWORK_SIGNS):
            return (
                "The package registry could not be reached, so nothing could be installed. Check the network "
                "and, if you are behind a proxy or use a mirror, the settings HTTPS_PROXY and PIP_INDEX_URL; "
                f"then run make again. The first trouble was:\n{quote(line)}\n{whole}"
            )
    tail = "\n".join([line for line in text.splitlines() if line.strip()][-15:])
    return f"pip could not install the packages. It ended with:\n{quote(tail)}\n{whole}"


def quote(text: str) -> str:
    return textwrap.indent(text.strip(), "    ")


def wrap(message: str) -> str:
    """Fill the lines of a message, except the quoted ones."""
    fill = textwrap.TextWrapper(width=90, break_long_words=False, break_on_hyphens=False).fill
    return "\n".join(line if line.startswith("    ") else fill(line) for line in message.splitlines())


@contextlib.contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """Let a second make in the same checkout wait for the first, where the file system can do that."""
    folder = os.open(root, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems do not lock folders
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


def set_up(root: Path, *, chosen: bool = False, free_bytes: Callable[[Path], int] = free_bytes) -> bool:
    """Bring `root/.venv` up to date; return whether anything had to be done.

    `chosen`: the person named this very Python, so an environment of another version must go.
    Raises SetupError.
    """
    venv, wanted = root / ".venv", digest(root)
    stamp, log = venv / "setup-digest", venv / "setup.log"
    fits = usable(venv, sys.version_info[:2] if chosen else None)
    if fits and stamp.exists() and stamp.read_text().strip() == wanted:
        return False

    check_venv_module()
    options = []
    if fits:
        why = "what belongs in it has changed, or an install was interrupted"
        print(f"Bringing .venv up to date: {why}.", flush=True)
    else:
        check_disk(root, None, free_bytes)
        print("Making .venv with", sys.executable, flush=True)
        make_venv(venv)
        print("Installing into it: some 3 GB to download, so it takes minutes.", flush=True)
        if not check_disk(root, cache_folder(venv), free_bytes):
            options = ["--no-cache-dir"]
    stamp.unlink(missing_ok=True)
    install(root, venv, log, options)
    stamp.write_text(wanted + "\n")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Make .venv, or bring it up to date.")
    parser.add_argument("--chosen", action="store_true", help="this Python was asked for by name")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        with alone_in(root):
            set_up(root, chosen=arguments.chosen)
    except SetupError as error:
        print(f"\n{wrap(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        # The files that pip does not write: the log, the stamp, the folder itself.
        print(f"\nSetting up .venv failed: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The next make goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

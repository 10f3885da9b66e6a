"""What grades depend on besides the submission: the grader's own code, and what it stands on."""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

PACKAGES = ("torch", "numpy", "scipy", "sympy", "ipython", "nbgrader")
OWN = ("autograder", "genmodels")
# Variables that decide how a notebook runs, and what they are where nothing is set.
VARIABLES = {
    # Several threads make small tensors slower, and on a shared machine many times slower.
    "OMP_NUM_THREADS": "1",
    # The checks test functions, so the notebook's own training may be short.
    "GENMODELS_SCALE": "smoke",
}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def variables() -> dict[str, str]:
    """The environment's variables that a result depends on."""
    return {name: os.environ.get(name, default) for name, default in VARIABLES.items()}


def versions() -> dict[str, str]:
    """The releases of Python and of the packages that decide how a notebook runs."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


@lru_cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def code_files(modules: Iterable[str | None]) -> Iterator[tuple[str, Path]]:
    """Every source file of the grader, of ``genmodels`` and of these modules' packages, by a name that says its place
    in its package."""
    for module in sorted({*OWN, *(name.split(".")[0] for name in modules if name)}):
        spec = importlib.util.find_spec(module)
        if spec is None:
            continue
        for place in map(Path, spec.submodule_search_locations or ([spec.origin] if spec.origin else [])):
            for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
                yield f"{module}/{path.relative_to(place).as_posix()}", path


def digest(files: Iterable[tuple[str, Path]]) -> str:
    """A hash of named files. One whose size and times are those of the last call is not read again."""
    whole = hashlib.sha256()
    for name, path in files:
        whole.update(f"{name}\n".encode() + _content(path))
    return whole.hexdigest()


def _content(path: Path) -> bytes:
    try:
        status = os.stat(path)
        # Whoever writes to a file can set its time of modification back, and not its time of change.
        return _hash(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except OSError as error:
        return str(error.errno).encode()


@lru_cache(maxsize=4096)
def _hash(path: Path, *_signature: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()

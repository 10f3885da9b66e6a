"""Answers that are files of weights, right ones and what can be wrong with any of them.

What was trained is kept in ``_build/trained`` for the next run of the tests, and for another process of this one, as
long as the library, these answers and torch are the same.
"""

import fcntl
import hashlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from tests.notebooks.mutants import wrong

State = dict[str, Tensor]

ROOT = Path(__file__).resolve().parents[3]


def _folder() -> Path:
    """The folder for the files of all answers; those of an earlier state of the sources are deleted."""
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sorted([*(ROOT / "lib" / "genmodels").rglob("*.py"), *Path(__file__).parent.glob("*.py")]):
        digest.update(source.read_bytes())
    folder = ROOT / "_build" / "trained" / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


FOLDER = _folder()


def saved(exercise: str, name: str, make_state: Callable[[], State]) -> Callable[[], str]:
    """An answer that saves a state once and then returns the file's name, as the notebook's does."""

    def answer() -> str:
        path = FOLDER / f"{exercise}-{name}.safetensors"
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else wants it waits until it is trained
            if not path.exists():
                part = path.with_suffix(".part")
                safetensors.torch.save_file({k: v.contiguous() for k, v in make_state().items()}, part)
                part.rename(path)
        return str(path)

    return answer


def changed(state: State, change: Callable[[Tensor], object]) -> State:
    """The state with its real numbers changed in place; counts stay."""
    for value in state.values():
        if value.is_floating_point():
            change(value)
    return state


def wrong_files(exercise: str, make: Callable[[], nn.Module], strangers: dict[str, Callable[[], nn.Module]]) -> None:
    """Register what is wrong with any file. ``make()`` is the untrained network, ``strangers`` are others by name."""
    states: dict[str, Callable[[], State]] = {
        "untrained": lambda: make().state_dict(),
        "weights that are all zero": lambda: changed(make().state_dict(), lambda v: v.zero_()),
        "weights that are not numbers": lambda: changed(make().state_dict(), lambda v: v.fill_(math.nan)),
        "weights that are infinite": lambda: changed(make().state_dict(), lambda v: v.fill_(math.inf)),
        "weights so large that the output overflows": lambda: changed(make().state_dict(), lambda v: v.mul_(1e30)),
        "double precision": lambda: changed_type(make().state_dict(), torch.float64),
        "half precision": lambda: changed_type(make().state_dict(), torch.float16),
        "a tensor too many": lambda: {**make().state_dict(), "score": torch.ones(1)},
        "a tensor missing": lambda: dict(list(make().state_dict().items())[1:]),
        "a file of two megabytes": lambda: {"x": torch.zeros(500_000)},
    }
    for what, network in strangers.items():
        states[what] = lambda network=network: network().state_dict()
    for number, (what, state) in enumerate(states.items()):
        wrong(exercise, what)(saved(exercise, f"file-{number}", state))

    @wrong(exercise, "a score that the student reports")
    def _():
        return 1.0

    @wrong(exercise, "the network itself")
    def _():
        return make()

    @wrong(exercise, "no file")
    def _():
        return "nowhere.safetensors"

    @wrong(exercise, "a pickle under another name")
    def _():
        path = FOLDER / f"{exercise}-pickle.safetensors"
        torch.save(make().state_dict(), path)
        return str(path)

    @wrong(exercise, "an empty file")
    def _():
        path = FOLDER / f"{exercise}-empty.safetensors"
        path.write_bytes(b"")
        return str(path)

    @wrong(exercise, "a header that promises more than the file holds")
    def _():
        path = FOLDER / f"{exercise}-header.safetensors"
        path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
        return str(path)


def changed_type(state: State, dtype: torch.dtype) -> State:
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}

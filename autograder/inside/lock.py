"""While an exercise is judged, the library's own answer to it can't be called."""

import importlib
import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType


def find(name: str) -> FunctionType:
    """The function of that full name, ``package.module.function`` or ``package.module.Class.method``.

    Raises
    ------
    ValueError
        If there is none, or its code can't be exchanged.
    """
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
            for part in parts[cut:]:
                found = inspect.getattr_static(found, part)
        except (ImportError, AttributeError):
            continue
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
        function = inspect.unwrap(found) if callable(found) else None
        if isinstance(function, FunctionType) and not function.__code__.co_freevars:
            return function
        break
    raise ValueError(f"{name} is no function that can be locked")


@contextmanager
def locked(names: Iterable[str]) -> Iterator[None]:
    """Make functions raise a RuntimeError that says so when they are called.

    Their code is exchanged, so it does not matter under which name somebody imported one before.
    """
    kept = []
    for name in names:
        function = find(name)
        kept.append((function, function.__code__, function.__defaults__, function.__kwdefaults__))
        message = f"{name} is locked while this exercise is graded: it is what you were asked to write"
        space: dict[str, FunctionType] = {}
        exec(f"def locked(*arguments, **keywords):\n    raise RuntimeError({message!r})", space)
        function.__code__ = space["locked"].__code__
    try:
        yield
    finally:
        for function, code, defaults, keywords in kept:
            function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, keywords

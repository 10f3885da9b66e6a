"""Where a notebook reaches for what an honest answer has no use for: worth a look, and never a reason to take points.

While an exercise is judged the library's own answer to it is locked, in the student's own process, where the lock can
be taken off or the code copied. Whoever does so names, somewhere, one of the things below.
"""

import ast
from collections.abc import Iterable, Iterator

MODULES = {"autograder", "inside", "ctypes", "gc"}
NAMES = {
    *("__code__", "__globals__", "__closure__", "__subclasses__", "__getattribute__"),
    *("getsource", "getsourcelines", "get_objects", "get_referrers", "_getframe", "settrace", "setprofile"),
}


def reaches(sources: Iterable[str]) -> list[str]:
    """The names from the lists above that code uses, sorted; code that is no Python has none."""
    found: set[str] = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # IPython's own commands, or no code at all
        found.update(_names(tree))
    return sorted(found)


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from MODULES & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            yield from MODULES & {(node.module or "").split(".")[0]}
            yield from NAMES & {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            yield from NAMES & {node.attr}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # getattr(f, "__code__")
            yield from (NAMES | MODULES - {"inside"}) & {node.value}

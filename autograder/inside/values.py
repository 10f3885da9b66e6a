"""What an answer gives back, as data: a tree that JSON can hold, and a pile of tensors.

Exact types only. A subclass, which could bring comparisons of its own, arrives as an object that can do nothing.
"""

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import sympy
from torch import Tensor, nn

from .tensors import Pile, can_travel

MOST_ITEMS = 100_000
MOST_CHARACTERS = 1_000_000
DEEPEST = 40
SHOWN = 60  # characters of an object that can't travel

Handle = Callable[[object], int]


def encode(value: Any, pile: Pile, handle: Handle, depth: int = 0) -> list[Any]:
    """A value as a tree ``[kind, ...]``; tensors go on the pile, functions and networks get a handle."""
    if depth > DEEPEST:
        return _opaque(value)
    kind = type(value)
    if value is None:
        return ["none"]
    if kind in (bool, float) or (kind is int and abs(value) < 1 << 400):
        return [kind.__name__, value]
    if kind is str and len(value) <= MOST_CHARACTERS:
        return ["str", value]
    if isinstance(value, tuple | list) and len(value) <= MOST_ITEMS:  # a namedtuple is a tuple to the checks as well
        name = "list" if isinstance(value, list) else "tuple"
        return [name, *(encode(item, pile, handle, depth + 1) for item in value)]
    if kind in (set, frozenset) and len(value) <= MOST_ITEMS:
        return ["set", *(encode(item, pile, handle, depth + 1) for item in value)]
    if kind is dict and len(value) <= MOST_ITEMS:
        items = value.items()
        return ["dict", *([encode(k, pile, handle, depth + 1), encode(v, pile, handle, depth + 1)] for k, v in items)]
    if kind in (Tensor, nn.Parameter) and can_travel(value):
        return ["tensor", pile.add(value)]
    if isinstance(value, nn.Module):
        return _network(value, pile, handle)
    if isinstance(value, sympy.Basic):
        return ["sympy", _expression(value, 0)]
    if isinstance(value, PurePath):
        return ["path", str(value)]
    if callable(value):
        return ["function", handle(value), str(getattr(value, "__name__", kind.__name__))[:SHOWN]]
    return _opaque(value)


def _opaque(value: object) -> list[Any]:
    try:
        text = str(value)[:SHOWN]
    except Exception:
        text = ""
    return ["other", type(value).__name__[:SHOWN], text]


def _network(network: nn.Module, pile: Pile, handle: Handle) -> list[Any]:
    # Handles of the parameters too, so that networks which share one are seen to.
    weights = [
        [name, handle(weight), pile.add(weight), weight.requires_grad]
        for name, weight in network.named_parameters()
        if can_travel(weight)
    ]
    return ["network", handle(network), type(network).__name__[:SHOWN], network.training, weights]


NUMBERS = {sympy.S.Exp1: "E", sympy.S.Pi: "pi"}
OPERATIONS = {sympy.Add: "Add", sympy.Mul: "Mul", sympy.Pow: "Pow", sympy.exp: "exp", sympy.log: "log"}


def _expression(node: sympy.Basic, depth: int) -> list[Any]:
    kind = type(node)
    if isinstance(node, sympy.Rational) and kind.__module__ == "sympy.core.numbers":
        return ["Rational", str(node.p), str(node.q)]
    if kind is sympy.Float:
        return ["Float", str(node), int(node._prec)]
    if node in NUMBERS:
        return ["Constant", NUMBERS[node]]
    if kind is sympy.Symbol:
        return ["Symbol", node.name, {k: v for k, v in node.assumptions0.items() if type(v) is bool}]
    if kind in OPERATIONS and depth < 200:
        return [OPERATIONS[kind], *(_expression(argument, depth + 1) for argument in node.args)]
    return ["Other", kind.__name__[:SHOWN], isinstance(node, sympy.Expr)]


def encode_error(error: BaseException) -> dict[str, str]:
    """An exception, for the judge to raise again."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return {"type": type(error).__name__[:SHOWN], "text": text[:4000]}

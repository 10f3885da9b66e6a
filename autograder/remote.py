"""The judge's view of a student's process: answers that can be called and differentiated, and nothing believed.

An answer that is called here runs there. What it gives back is rebuilt from plain data; what it did to the networks,
optimizers and tensors that it was given is done to the judge's own; and a gradient that a check takes through it is
asked of the other process, which holds the graph.
"""

import math
import secrets
import struct
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any

import sympy
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from autograder.inside import arguments
from autograder.inside.tensors import Pile, unpile
from autograder.inside.wire import Closed, Late, Malformed
from autograder.sandbox import Process

MOST_NAME = 100
MOST_TEXT = 4000  # of an error's message


class Ended(BaseException):
    """The student's process can't go on, or may not. No check may catch this: it is not an answer's error.

    ``why``: "died", "timed-out", "runaway" (printed without end), "malformed" (broke the protocol).
    """

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why, detail)
        self.why = why
        self.detail = detail


class Remote:
    """Asks one student's process, one thing at a time, until a deadline.

    ``on_output`` gets each output of a cell as it comes, and may raise Ended.
    """

    def __init__(self, process: Process, on_output: Callable[[str, dict[str, Any], int], None]) -> None:
        self.process = process
        self.deadline = math.inf  # of time.monotonic(), for all that is asked
        self.printed = ""  # the end of what answers printed
        self.pending = ""  # the number of the last request
        self._on_output = on_output
        self._identities = arguments.Identities()
        self._forgotten: list[int] = []
        self._parameters: dict[int, nn.Parameter] = {}  # of the student's networks, by handle
        self._networks: dict[int, RemoteNetwork] = {}

    def __enter__(self) -> "Remote":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()

    def ask(self, op: str, body: bytes = b"", **header: Any) -> tuple[dict[str, Any], list[Tensor]]:
        """Send a request and wait for its reply.

        Raises
        ------
        Ended
            If none comes, it comes too late, or is malformed. After "timed-out" the process may still be there.
        """
        number = self.pending = secrets.token_hex(8)  # a reply written before the question can't know it
        deadline = min(self.deadline, time.monotonic() + 1e6)
        try:
            self.process.channel.send({"op": op, "id": number, **header}, body, deadline)
        except Late:
            raise Ended("timed-out") from None
        except Closed as error:
            raise Ended("died", str(error)) from None
        return self.reply(number, deadline)

    def reply(self, number: str, deadline: float) -> tuple[dict[str, Any], list[Tensor]]:
        """Wait for the reply to a request."""
        try:
            while True:
                told, rest = self.process.channel.receive(deadline)
                if "output" in told:
                    self._on_output(str(told["output"]), _dictionary(told.get("content")), _size(told))
                    continue
                if told.get("reply") != number:
                    raise Malformed("a reply to nothing that was asked")
                tensors, left = unpile(told["tensors"], rest)
                if len(left):
                    raise Malformed("more bytes than announced")
                return told, tensors
        except Late:
            raise Ended("timed-out") from None
        except Closed as error:
            raise Ended("died", str(error)) from None
        except (Malformed, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
            raise Ended("malformed", f"{type(error).__name__}: {error}") from None

    def settle(self, seconds: float) -> bool:
        """After "timed-out": interrupt, until the reply has come; False if it does not come within so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.process.interrupt()  # again and again: Python swallows one that arrives within a callback
            try:
                self.reply(self.pending, time.monotonic() + min(left, 0.5))
            except Ended as ended:
                if ended.why == "timed-out":
                    continue
                return False
            return True
        return False

    def bind(self, name: str) -> Any:
        """What stands under a name in the notebook; KeyError if nothing does."""
        told, tensors = self.ask("bind", name=name)
        if told.get("status") == "absent":
            raise KeyError(name)
        return self._value(told, tensors)

    def lock(self, names: list[str]) -> None:
        """Begin with an exercise: lock these functions of the library, and no others."""
        self._identities = arguments.Identities()
        self.ask("lock", names=names)

    def read_file(self, path: str, most: int) -> bytes | None:
        """The content of a file in the student's process, None if there is none or it has more than ``most`` bytes."""
        told, tensors = self.ask("read", path=path, most=most)
        if told.get("status") != "done" or len(tensors) != 1 or tensors[0].dtype != torch.uint8:
            return None
        size = self._guarded(lambda: _whole(told["size"]))
        return bytes(tensors[0].numpy().tobytes())[:size] if size <= most else None

    def call(self, handle: int, positional: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call a function of the student's."""
        things, header, body = arguments.write((positional, keywords), self._identities)
        told, tensors = self._asked("call", header, body, handle=handle)
        return self._came_of(told, tensors, things)

    def call_network(self, network: "RemoteNetwork", positional: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call a network of the student's, with the weights as they are here."""
        things, header, body = arguments.write((network.weights(), positional, keywords), self._identities)
        told, tensors = self._asked("network", header, body, handle=network._student_handle, training=network.training)
        return self._came_of(told, tensors, things)

    def _asked(self, op: str, given: dict[str, Any], body: bytes, **header: Any) -> tuple[dict[str, Any], list[Tensor]]:
        forget, self._forgotten = self._forgotten, []
        told, tensors = self.ask(op, body, given=given, forget=forget, gradients=torch.is_grad_enabled(), **header)
        self.printed = (self.printed + str(told.get("printed", "")))[-2000:]
        return told, tensors

    def _came_of(self, told: dict[str, Any], tensors: list[Tensor], things: arguments.Things) -> Any:
        if "changes" in told:
            self._guarded(lambda: _Changes(told["changes"], tensors, self).apply(things))
        if told.get("status") == "raised":
            raise self._guarded(lambda: _error(told["error"]))
        return self._value(told, tensors, things)

    def _value(self, told: dict[str, Any], tensors: list[Tensor], things: arguments.Things | None = None) -> Any:
        node = told.get("node")
        if node is not None and things is not None:
            sources = [t for t in things.tensors if t.requires_grad]
            places = [i for i, about in enumerate(told["tensors"]) if about.get("requires_grad") is True]
            if sources and places and type(node) is int:
                graph = _Graph(self, node, [tensors[i] for i in places])
                linked = _Through.apply(graph, *sources)
                for i, value in zip(places, linked, strict=True):
                    tensors[i] = value
        return self._guarded(lambda: self._decode(told["value"], tensors))

    @staticmethod
    def _guarded(decode: Callable[[], Any]) -> Any:
        try:
            return decode()
        except (
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
            RuntimeError,
            MemoryError,
        ) as error:
            raise Ended("malformed", f"{type(error).__name__}: {error}") from None

    def _decode(self, tree: Any, tensors: list[Tensor]) -> Any:
        kind, *parts = tree
        if kind == "none":
            return None
        if kind in ("bool", "int", "float", "str"):
            (value,) = parts
            if type(value).__name__ != kind:
                raise ValueError(f"{value!r} is no {kind}")
            return value
        if kind in ("tuple", "list"):
            items = [self._decode(part, tensors) for part in parts]
            return items if kind == "list" else tuple(items)
        if kind == "set":
            return {self._decode(part, tensors) for part in parts}
        if kind == "dict":
            return {self._decode(k, tensors): self._decode(v, tensors) for k, v in parts}
        if kind == "tensor":
            (place,) = parts
            return tensors[_whole(place)]
        if kind == "sympy":
            (node,) = parts
            return _expression(node)
        if kind == "path":
            (path,) = parts
            return PurePosixPath(str(path))
        if kind == "function":
            handle, name = parts
            return RemoteFunction(self, _whole(handle), str(name))
        if kind == "network":
            return self._network(tensors, *parts)
        if kind == "other":
            name, text = parts
            return stranger(str(name), str(text))
        raise ValueError(f"a value of no known kind: {str(kind)[:40]}")

    def _network(self, tensors: list[Tensor], handle: Any, name: Any, training: Any, weights: Any) -> "RemoteNetwork":
        known = self._networks.get(_whole(handle))
        if known is not None:
            return known
        found = {}
        for key, weight, place, trains in weights:
            if _whole(weight) not in self._parameters:
                numbers = tensors[_whole(place)].detach().clone()
                self._parameters[weight] = nn.Parameter(numbers, numbers.is_floating_point() and trains is True)
            found[str(key)] = self._parameters[weight]
        network = RemoteNetwork(self, handle, str(name), found)
        network.train(bool(training))
        self._networks[handle] = network
        return network

    def forget(self, node: int) -> None:
        """Let the other process drop a graph with the next request."""
        self._forgotten.append(node)


class RemoteFunction:
    """A function of the student's, as a check calls it."""

    def __init__(self, remote: Remote, handle: int, name: str) -> None:
        self._remote = remote
        self._student_handle = handle
        self.__name__ = name

    def __call__(self, *positional: Any, **keywords: Any) -> Any:
        return self._remote.call(self._student_handle, positional, keywords)


class RemoteNetwork(nn.Module):
    """A network of the student's: its weights are here, what it computes is computed there."""

    def __init__(self, remote: Remote, handle: int, name: str, weights: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self._remote = [remote]  # in a list, so that torch does not look into it
        self._student_handle = handle
        self._name = name
        self._keys = list(weights)
        for number, weight in enumerate(weights.values()):
            self.register_parameter(f"weight_{number}", weight)

    def weights(self) -> dict[str, nn.Parameter]:
        """The weights by the names that they have in the student's network."""
        return {key: getattr(self, f"weight_{number}") for number, key in enumerate(self._keys)}

    def forward(self, *positional: Any, **keywords: Any) -> Any:
        return self._remote[0].call_network(self, positional, keywords)

    def _get_name(self) -> str:
        return self._name


class _Graph:
    """A call whose graph the student's process keeps; forgotten there when nobody here can ask for it any more."""

    def __init__(self, remote: Remote, node: int, outputs: list[Tensor]) -> None:
        self._remote = remote
        self.node = node
        self.outputs = outputs

    def __del__(self) -> None:
        self._remote.forget(self.node)

    def product(self, vectors: list[Tensor | None], shapes: list[torch.Size]) -> list[Tensor | None]:
        """The product of vectors, one for each output, with the Jacobian: one for each input."""
        pile = Pile()
        at = [None if v is None else pile.add(v) for v in vectors]
        told, tensors = self._remote.ask("vjp", pile.body, node=self.node, given=pile.about, at=at)
        if told.get("status") == "raised":
            raise Remote._guarded(lambda: _error(told["error"]))
        places = told["at"] if isinstance(told.get("at"), list) else []
        found = Remote._guarded(lambda: [None if i is None else tensors[_whole(i)] for i in places])
        if len(found) != len(shapes) or any(g is not None and g.shape != s for g, s in zip(found, shapes, strict=True)):
            raise Ended("malformed", "a gradient of another shape")
        return list(found)


class _Through(torch.autograd.Function):
    """Links what came back to what was handed over."""

    @staticmethod
    def forward(ctx: Any, graph: _Graph, *sources: Tensor) -> tuple[Tensor, ...]:
        ctx.graph = graph
        ctx.shapes = [source.shape for source in sources]
        ctx.dtypes = [source.dtype for source in sources]
        ctx.set_materialize_grads(False)
        return tuple(output.clone() for output in graph.outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *vectors: Tensor | None) -> tuple[Tensor | None, ...]:
        found = ctx.graph.product(list(vectors), ctx.shapes)
        return (None, *(g if g is None else g.to(d) for g, d in zip(found, ctx.dtypes, strict=True)))


class _Changes:
    """What a call did to the things that it was given, to be done to the judge's."""

    def __init__(self, told: dict[str, Any], tensors: list[Tensor], remote: Remote) -> None:
        self._told, self._tensors, self._remote = told, tensors, remote

    def apply(self, things: arguments.Things) -> None:
        # What a network noted it has noted with the weights that it had; so these come first.
        for network, (training, notes) in zip(things.networks, self._told["networks"], strict=True):
            if notes is not None:
                network.hear(self._remote._decode(notes, self._tensors))  # type: ignore[operator]
            network.training = bool(training)
        with torch.no_grad():
            for value, (data, grad, requires_grad) in zip(things.tensors, self._told["tensors"], strict=True):
                if data is not None:
                    value.data.copy_(self._like(value, data))
                if value.is_leaf:
                    if grad is None:
                        value.grad = None
                    elif grad != "kept":
                        value.grad = self._like(value, grad).to(value.dtype)
                    if bool(requires_grad) != value.requires_grad:
                        value.requires_grad_(bool(requires_grad))
        for optimizer, states in zip(things.optimizers, self._told["optimizers"], strict=True):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            for weight, state in zip(weights, states, strict=True):
                optimizer.state[weight] = self._state(weight, state)
        for generator, place in zip(things.generators, self._told["generators"], strict=True):
            if place is not None:
                generator.set_state(_state_of_a_generator(self._tensors[_whole(place)]))

    def _like(self, value: Tensor, place: Any) -> Tensor:
        found = self._tensors[_whole(place)]
        if found.shape != value.shape:
            raise ValueError(f"a tensor of shape {tuple(value.shape)} has become one of {tuple(found.shape)}")
        return found

    def _state(self, weight: Tensor, tree: Any) -> dict[str, Any]:
        state = self._remote._decode(tree, self._tensors)
        if not isinstance(state, dict) or len(state) > 16:
            raise ValueError("no state of an optimizer")
        for name, value in state.items():
            plain = value is None or type(value) in (bool, int, float)
            of_the_weight = isinstance(value, Tensor) and value.shape in (weight.shape, ())
            if type(name) is not str or not (plain or of_the_weight):
                raise ValueError("no state of an optimizer")
        return state


def _state_of_a_generator(state: Tensor) -> Tensor:
    """The state, if torch's Mersenne Twister can have come to be in it: of another it would read past its table."""
    if state.dtype != torch.uint8 or state.shape != torch.default_generator.get_state().shape:
        raise ValueError("no state of a generator")
    _, left, _, following = struct.unpack_from("=QiiQ", state.numpy().tobytes())
    if (left, following) != (1, 0) and (left + following != 625 or not 1 <= left <= 624):
        raise ValueError("no state of a generator")
    return state


def stranger(name: str, text: str) -> object:
    """An object that can do nothing, of a class of that name: what an answer gave that no check takes."""
    cls = type(_name(name), (), {"__str__": lambda self: text, "__repr__": lambda self: text})
    return cls()


def _name(text: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in text[:MOST_NAME]) or "object"


# What a check tells apart by type; any other error of an answer's arrives as a class of its own with the same name.
_ERRORS = {
    error.__name__: error
    for error in (
        *(AssertionError, NotImplementedError, TypeError, ValueError, RuntimeError, IndexError, KeyError),
        *(AttributeError, NameError, ZeroDivisionError, ImportError, ModuleNotFoundError, OverflowError, MemoryError),
    )
}


class EndedTheProgram(BaseException):
    """The answer raised something like SystemExit."""


def _error(told: dict[str, Any]) -> BaseException:
    name, text = str(told["type"]), str(told["text"])[:MOST_TEXT]
    if name in ("SystemExit", "KeyboardInterrupt", "GeneratorExit"):
        return type(name, (EndedTheProgram,), {})(text)
    if name in _ERRORS:
        return _ERRORS[name](text)
    return type(_name(name), (Exception,), {})(text)


def _dictionary(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an output that is none")
    return value


def _size(value: Any) -> int:
    """About how many bytes a tree of JSON takes."""
    if isinstance(value, dict):
        return sum(_size(k) + _size(v) for k, v in value.items()) + 2
    if isinstance(value, list):
        return sum(map(_size, value)) + 2
    return len(value) if isinstance(value, str) else 8


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{str(value)[:40]} is no number of anything")
    return value


# ------------------------------------------------------------------ expressions

_OPERATIONS = {"Add": sympy.Add, "Mul": sympy.Mul, "Pow": sympy.Pow, "exp": sympy.exp, "log": sympy.log}
_CONSTANTS = {"E": sympy.S.Exp1, "pi": sympy.S.Pi}
_ASSUMPTIONS = set(sympy.Symbol("x", positive=True).assumptions0) | set(sympy.Symbol("x", integer=True).assumptions0)
_MOST_DIGITS = 1000
_MOST_POWER = 1000
_MOST_NODES = 20_000
_MOST_BITS = 300_000  # of the exact number that an expression becomes when numbers are put in
_MOST_BITS_OF_A_POWER = 1000
_SYMBOL_BITS = 128


def _expression(tree: Any) -> sympy.Basic:
    """An expression built of the operations that a derivation may end in, and nothing that the student's process made.

    SymPy is exact, and would compute a tower of powers for ever. So an exponent is a small number, or short and without
    powers of its own; what stands in an exponential has no exponential and no logarithm (SymPy makes powers of them);
    and the bits that a number would take are counted. What goes beyond arrives as a node that no check takes.

    Raises
    ------
    ValueError
        If it is no such tree, or larger than any answer.
    """
    count = 0

    def build(node: Any) -> tuple[sympy.Basic, int]:
        """The node, and how many bits its value takes at most."""
        nonlocal count
        count += 1
        if count > _MOST_NODES:
            raise ValueError("an expression larger than any answer")
        kind, *parts = node
        if kind == "Rational":
            p, q = (str(part) for part in parts)
            if len(p) > _MOST_DIGITS or len(q) > _MOST_DIGITS or int(q) == 0:
                return _unknown("Rational", True), 0
            number = sympy.Rational(int(p), int(q))
            return number, int(number.p).bit_length() + int(number.q).bit_length()
        if kind == "Float":
            text, precision = parts
            if len(str(text)) > 50 + _MOST_DIGITS or not 1 <= _whole(precision) <= 4000:
                return _unknown("Float", True), 0
            return sympy.Float(str(text), precision=precision), 4000
        if kind == "Constant":
            return _CONSTANTS[parts[0]], 1
        if kind == "Symbol":
            name, assumptions = parts
            if not set(assumptions) <= _ASSUMPTIONS or not all(type(v) is bool for v in assumptions.values()):
                raise ValueError("a symbol of no known kind")
            return sympy.Symbol(str(name)[:MOST_NAME], **assumptions), _SYMBOL_BITS
        if kind in _OPERATIONS:
            built = [build(part) for part in parts]
            values = [value for value, _ in built]
            bits = sum(size for _, size in built)
            if kind == "Pow":
                power = values[1]
                if isinstance(power, sympy.Number) and bool(abs(power) <= _MOST_POWER):
                    bits *= 1 + math.ceil(abs(power))
                elif power.is_number or built[1][1] > _MOST_BITS_OF_A_POWER or not _is_flat(power):
                    return _unknown("Pow", True), 0
            if bits > _MOST_BITS or (kind == "exp" and values[0].has(sympy.exp, sympy.log)):
                return _unknown(kind, True), 0
            return _OPERATIONS[kind](*values), bits
        if kind == "Other":
            name, is_expression = parts
            return _unknown(str(name), bool(is_expression)), 0
        raise ValueError(f"a part of no known kind: {str(kind)[:40]}")

    return build(tree)[0]


def _is_flat(power: sympy.Basic) -> bool:
    """Whether an exponent with symbols has no exponent with symbols in it."""
    return not power.has(sympy.exp, sympy.log) and all(part.exp.is_number for part in power.atoms(sympy.Pow))


def _unknown(name: str, is_expression: bool) -> sympy.Basic:
    """A node that no check takes, of a class of that name."""
    base = sympy.Expr if is_expression else sympy.Basic
    # SymPy prints by the name of a class, and would look for the parts of a real one.
    made: sympy.Basic = type(_name(name), (base,), {"_sympystr": lambda self, printer: _name(name)})()
    return made

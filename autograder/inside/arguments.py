"""What the judge hands to an answer: a pickle, with tensors, networks, optimizers and random generators apart.

These four are changed by the functions that they are given to, so both sides number them in the same order, and the
student's side tells afterwards what has become of each. Networks, their weights and optimizers that come a second time
meet the same objects on the student's side. Only the judge writes such a pickle; the student's side reads it.
"""

import io
import pickle
from typing import Any

import torch
from torch import Tensor, nn

from .tensors import Pile, can_travel, raw, unpile
from .values import Handle, encode


class Things:
    """The numbered things of one call, in their order; the first generator is torch's own."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.networks: list[nn.Module] = []
        self.optimizers: list[torch.optim.Optimizer] = []
        self.generators: list[torch.Generator] = [torch.default_generator]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, writer: "_Writer") -> None:
        super().__init__(file, protocol=5)
        self._writer = writer

    def persistent_id(self, value: Any) -> tuple[str, Any] | None:
        return self._writer.number(value)


class Identities:
    """Numbers for objects that are handed over more than once; it keeps them alive, as an id can pass to another."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, object]] = {}

    def of(self, value: object) -> int:
        """The number of an object, the same each time."""
        return self._known.setdefault(id(value), (len(self._known), value))[0]


class _Writer:
    """Numbers the things of a call, and describes each for the other side."""

    def __init__(self, identities: Identities) -> None:
        self.things = Things()
        self._identities = identities
        self.pile = Pile()
        self.about: list[dict[str, Any]] = []  # of each tensor, what its place on the pile does not say
        self.bodies: list[bytes] = []  # pickles of networks and optimizers
        self.kinds: list[str] = []
        self.identities: list[int] = []  # of each body
        self._places: dict[int, tuple[str, int]] = {id(torch.default_generator): ("generator", 0)}
        self._keep: list[object] = []  # an id is only good while its object lives

    def number(self, value: Any) -> tuple[str, Any] | None:
        if (handle := getattr(value, "_student_handle", None)) is not None and type(handle) is int:
            return "handle", handle
        if id(value) in self._places:
            return self._places[id(value)]
        if isinstance(value, Tensor) and type(value) in (Tensor, nn.Parameter):
            return self._place(value, "tensor", self.things.tensors, self._tensor)
        if isinstance(value, nn.Module):
            return self._place(value, "network", self.things.networks, self._state)
        if isinstance(value, torch.optim.Optimizer):
            return self._place(value, "optimizer", self.things.optimizers, self._state)
        if isinstance(value, torch.Generator):
            return self._place(value, "generator", self.things.generators, lambda _: None)
        return None

    def _place(self, value: Any, kind: str, kept: list[Any], describe: Any) -> tuple[str, int]:
        self._places[id(value)] = place = kind, len(kept)
        kept.append(value)
        self._keep.append(value)
        describe(value)
        return place

    def _tensor(self, value: Tensor) -> None:
        if not can_travel(value):
            raise TypeError(f"a tensor of {value.dtype} on {value.device} can't be handed to a student's process")
        about: dict[str, Any] = {"at": self.pile.add(value)}
        if value.is_leaf and value.grad is not None:
            about["grad"] = self.pile.add(value.grad)
        if isinstance(value, nn.Parameter):
            about["identity"] = self._identities.of(value)
        self.about.append(about)

    def _state(self, value: Any) -> None:
        place = len(self.bodies)
        self.bodies.append(b"")
        self.kinds.append("network" if isinstance(value, nn.Module) else "optimizer")
        self.identities.append(self._identities.of(value))
        self.bodies[place] = self.dump(type(value), value.__getstate__())

    def dump(self, *values: object) -> bytes:
        """Pickles of the values, one after another."""
        file = io.BytesIO()
        for value in values:
            _Pickler(file, self).dump(value)
        return file.getvalue()


def write(arguments: object, identities: Identities) -> tuple[Things, dict[str, Any], bytes]:
    """Number the things in the arguments of a call, and make the header's part and the body of its frame."""
    writer = _Writer(identities)
    main = writer.dump(arguments)
    generators = [writer.pile.add(generator.get_state()) for generator in writer.things.generators]
    # Tensors are described when they are first met, which may be deep inside of a network: in the order of numbers.
    header = {
        "tensors": writer.pile.about,
        "about": writer.about,
        "generators": generators,
        "kinds": writer.kinds,
        "identities": writer.identities,
        "lengths": [len(main), *map(len, writer.bodies)],
    }
    return writer.things, header, writer.pile.body + main + b"".join(writer.bodies)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, reader: "_Reader") -> None:
        super().__init__(file)
        self._reader = reader

    def persistent_load(self, place: tuple[str, int]) -> Any:
        return self._reader.thing(*place)


class _Reader:
    """Makes the things of a call, or finds those that have come before and brings them up to date."""

    def __init__(
        self, header: dict[str, Any], body: memoryview, objects: dict[int, Any], known: dict[int, Any]
    ) -> None:
        numbers, rest = unpile(header["tensors"], body)
        self._objects = objects
        self._known = known
        self._tensors = [_leaf(header["tensors"], numbers, about, known) for about in header["about"]]
        self._generators = [torch.default_generator, *(torch.Generator() for _ in header["generators"][1:])]
        for generator, at in zip(self._generators, header["generators"], strict=True):
            generator.set_state(numbers[at])
        parts = []
        for length in header["lengths"]:
            parts.append(rest[:length])
            rest = rest[length:]
        self._main = parts[0]
        self._bodies: dict[str, list[tuple[int, memoryview]]] = {"network": [], "optimizer": []}
        for kind, identity, part in zip(header["kinds"], header["identities"], parts[1:], strict=True):
            self._bodies[kind].append((identity, part))
        self._made: dict[tuple[str, int], Any] = {}

    def read(self) -> tuple[Any, Things]:
        value = _Unpickler(io.BytesIO(self._main), self).load()
        things = Things()
        things.tensors, things.generators = self._tensors, self._generators
        things.networks = [self._made["network", i] for i in range(len(self._bodies["network"]))]
        things.optimizers = [self._made["optimizer", i] for i in range(len(self._bodies["optimizer"]))]
        return value, things

    def thing(self, kind: str, place: int) -> Any:
        if kind == "handle":
            return self._objects[place]
        if kind == "tensor":
            return self._tensors[place]
        if kind == "generator":
            return self._generators[place]
        if (kind, place) not in self._made:
            identity, body = self._bodies[kind][place]
            file = io.BytesIO(body)
            cls = _Unpickler(file, self).load()
            # The object must be known before its state is read: a network and its parts may lead to each other.
            made = self._made[kind, place] = self._known.setdefault(identity, cls.__new__(cls))
            state = _Unpickler(file, self).load()
            if hasattr(made, "__setstate__"):
                made.__setstate__(state)
            else:
                made.__dict__.update(state)
        return self._made[kind, place]


def _leaf(about: list[dict[str, Any]], numbers: list[Tensor], one: dict[str, Any], known: dict[int, Any]) -> Tensor:
    kind = about[one["at"]]
    value = numbers[one["at"]]
    if kind["parameter"]:
        fresh = nn.Parameter(value, requires_grad=kind["requires_grad"])
        value = known.setdefault(one["identity"], fresh)
        if value is not fresh:
            value.data = fresh.data
            value.requires_grad_(kind["requires_grad"])
    elif kind["requires_grad"]:
        value.requires_grad_()
    value.grad = numbers[one["grad"]] if "grad" in one else None
    return value


def read(
    header: dict[str, Any], body: memoryview, objects: dict[int, Any], known: dict[int, Any]
) -> tuple[Any, Things]:
    """The arguments of a call, and the things in them.

    ``objects`` are the student's own, by handle; ``known`` what has come before, by the judge's numbers.
    """
    return _Reader(header, body, objects, known).read()


class Before:
    """What the things were like before a call, so that only what changes has to be told."""

    def __init__(self, things: Things) -> None:
        self._things = things
        self._tensors = [(raw(t), t.grad, None if t.grad is None else raw(t.grad)) for t in things.tensors]
        self._generators = [bytes(raw(g.get_state())) for g in things.generators]

    def changes(self, pile: Pile, handle: Handle) -> dict[str, Any]:
        """What has become of the things, as a tree; numbers go on the pile."""
        return {
            "tensors": [self._tensor(i, pile) for i in range(len(self._tensors))],
            "networks": [
                [network.training, encode(network.told(), pile, handle) if hasattr(network, "told") else None]  # type: ignore[operator]
                for network in self._things.networks
            ],
            "optimizers": [_optimizer(optimizer, pile, handle) for optimizer in self._things.optimizers],
            "generators": [
                None if raw(generator.get_state()) == before else pile.add(generator.get_state())
                for generator, before in zip(self._things.generators, self._generators, strict=True)
            ],
        }

    def _tensor(self, i: int, pile: Pile) -> list[Any]:
        """[data, grad, requires_grad]; data None if it is as it was, grad "kept" if so and None if there is none."""
        value = self._things.tensors[i]
        data, _, grad = self._tensors[i]
        now = value.grad if value.is_leaf else None
        told: Any = None
        if now is not None:
            told = "kept" if grad is not None and raw(now) == grad else pile.add(now.detach())
        return [None if raw(value) == data else pile.add(value.detach()), told, value.requires_grad]


def _optimizer(optimizer: torch.optim.Optimizer, pile: Pile, handle: Handle) -> list[Any]:
    """What the optimizer remembers of each of its weights, in their order."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    return [encode(dict(optimizer.state.get(weight, {})), pile, handle) for weight in weights]

"""What a check is made of: properties, the exercise that they belong to, and how a failure is told."""

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor

# What a notebook's unwritten answer raises; the release step puts it there.
STUB = "replace this line with your answer"


class CheckFailed(AssertionError):
    """A property does not hold; the message is meant for the student."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a stack trace, which would lead the reader into our code, not theirs."""
        return str(self).splitlines()


@dataclass(frozen=True)
class Property:
    """A sentence that must be true of an answer, and a test that raises AssertionError where it is not."""

    title: str
    test: Callable[[Any], None]


@dataclass(frozen=True)
class Exercise:
    """An exercise's name, where to read about it, and its public properties in the order in which they make sense."""

    name: str
    read: str
    properties: tuple[Property, ...]


def run_properties(exercise: Exercise, properties: Iterable[Property], answer: object, details: bool = True) -> None:
    """Test the properties in order; at the first that fails, raise CheckFailed with a message.

    Without ``details`` the message gives the property's title alone: nothing of its input or of what was expected.
    """
    if not callable(answer):
        raise CheckFailed(
            f"{exercise.name}: expected the function {exercise.name}, got {_describe(answer)}.\n"
            f"Hand over the function itself, without calling it: check({exercise.name!r}, {exercise.name})."
        )
    answer = _watched(answer)
    for passed, prop in enumerate(properties):
        try:
            prop.test(answer)
        except NotImplementedError as error:
            if STUB not in str(error):  # torch raises NotImplementedError too
                raise CheckFailed(_tell(exercise, prop, passed, error, details)) from (error if details else None)
            raise CheckFailed(
                f"{exercise.name} is not written yet.\n"
                f"Replace the line `raise NotImplementedError(...)` with your answer. To read first: {exercise.read}."
            ) from None
        except Exception as error:
            raise CheckFailed(_tell(exercise, prop, passed, error, details)) from (error if details else None)


def _watched(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The answer, held to leave the tensors that it is given as they are.

    A check may compute what it expects after the call, from the same tensors; overwritten, they would make any answer
    right. Weights, optimizers and generators are not meant: to change these is what some exercises ask for.
    """

    def call(*positional: Any, **keywords: Any) -> Any:
        kept = [(value, value.detach().clone()) for value in _tensors((positional, keywords))]
        result = answer(*positional, **keywords)
        for value, before in kept:
            assert torch.equal(value.detach(), before), "your function overwrote a tensor that it was given"
        return result

    return call


def _tensors(value: object) -> Iterator[Tensor]:
    """The tensors in the arguments of a call, and in the schedules and lists among them."""
    if type(value) is Tensor:
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif is_dataclass(value):
        yield from _tensors(vars(value))


def _tell(exercise: Exercise, prop: Property, passed: int, error: Exception, details: bool) -> str:
    lines = [f"{exercise.name}: this does not hold yet: {prop.title}."]
    if isinstance(error, AssertionError):
        what = str(error)
    else:
        what = f"your function raised {type(error).__name__}: {error}"
    if details and what:
        lines.append(textwrap.indent(what, "  "))
    if passed:
        lines.append(f"{passed} earlier {'property holds' if passed == 1 else 'properties hold'}.")
    lines.append(f"To read: {exercise.read}.")
    return "\n".join(lines)


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    try:
        return f"{type(value).__name__} {str(value)[:60]!r}"
    except Exception:  # a value's own text may be broken
        return type(value).__name__


def require_tensor(got: object, shape: tuple[int, ...], what: str = "the result") -> Tensor:
    """The answer's output as a detached float64 tensor; an AssertionError says what else came."""
    # The exact types: another subclass could bring comparisons of its own.
    if not isinstance(got, Tensor) or type(got) not in (Tensor, torch.nn.Parameter):
        raise AssertionError(f"{what} must be a tensor of shape {shape}, got {_describe(got)}")
    assert tuple(got.shape) == shape, f"{what} must have shape {shape}, got {tuple(got.shape)}"
    assert torch.is_floating_point(got), f"{what} must hold floating-point numbers, got {got.dtype}"
    return got.detach().to(torch.float64)


def require_close(
    got: object, want: Tensor | list[Any], given: str, tolerance: float = 1e-5, what: str = "the result"
) -> None:
    """Raise AssertionError unless ``got`` is a tensor within ``tolerance`` of ``want``, absolute or relative."""
    wanted = torch.as_tensor(want, dtype=torch.float64)
    value = require_tensor(got, tuple(wanted.shape), what)
    # `not (… <= …)`, so that nan fails too.
    if not bool(((value - wanted).abs() <= tolerance * (1 + wanted.abs())).all()):
        raise AssertionError(f"for {given}\n{what} is {_show(value)}, it must be {_show(wanted)}")


def _show(value: Tensor) -> str:
    numbers = [f"{number:.5g}" for number in value.flatten()[:6].tolist()]
    more = ", ..." if value.numel() > 6 else ""
    return f"[{', '.join(numbers)}{more}]" if value.ndim else numbers[0]

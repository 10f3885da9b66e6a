"""Answers that students really give: wrong ones that must lose their points, right ones that must earn them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer to an exercise, in a line what it is, and whether it is right.

    ``borrowed``: it calls the library's own answer, which a self-check takes and a grader does not.
    """

    exercise: str
    what: str
    function: Callable[..., Any]
    right: bool
    borrowed: bool = False


ANSWERS: list[Answer] = []


def right(exercise: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a right answer, written differently from the solution."""
    return _register(exercise, what, right=True)


def wrong(exercise: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a wrong answer: ``what`` names the mistake."""
    return _register(exercise, what, right=False)


def from_the_library(exercise: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register an answer that calls the library's own."""
    return _register(exercise, what, right=True, borrowed=True)


def _register(
    exercise: str, what: str, right: bool, borrowed: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        ANSWERS.append(Answer(exercise, what, function, right, borrowed))
        return function

    return register


# They register their answers; and they need what stands above.
from tests.notebooks.mutants import (  # noqa: E402, F401
    diffusion_model,
    diffusion_process,
    gan_game,
    gan_training,
    vae_bound,
    vae_model,
)

"""A check is as good as the mistakes it catches: each wrong answer loses its points, each right one earns them."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from autograder.hidden import HIDDEN, run_hidden
from autograder.inside.lock import find, locked
from genmodels.checks import EXERCISES, LOCKED, CheckFailed, check
from tests.notebooks.conftest import RECORD, listing
from tests.notebooks.elsewhere import Elsewhere
from tests.notebooks.mutants import ANSWERS, Answer

SEEDS = (1, 2)
# Graded from a file that the answer names. These answers are called here, where the networks that many of them start
# from are trained once.
FROM_FILES = {"digits_weights", "ring_generator", "digits_generator", "cloud_denoiser", "digits_denoiser"}

# A warning is not a failure in a student's notebook, so it is none here.
pytestmark = pytest.mark.filterwarnings("default")


def named(answers):
    return [pytest.param(answer, id=f"{answer.exercise}: {answer.what}") for answer in answers]


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Elsewhere]:
    process = Elsewhere()
    yield process
    process.close()


@contextlib.contextmanager
def as_graded(answer: Answer, elsewhere: Elsewhere) -> Iterator[Callable[..., Any]]:
    """The answer's function as the grader's checks meet it."""
    if answer.exercise in FROM_FILES:
        yield answer.function
    else:
        with elsewhere.answer(answer) as function:
            yield function


def killed_by(exercise: str, function: Callable[..., Any]) -> str | None:
    """None if the answer earns its points, else which check it failed: "public" or "hidden"."""
    torch.manual_seed(0)  # as the grader does: what networks begin with is no matter of luck
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            check(exercise, function)
    except CheckFailed:
        return "public"
    try:
        for seed in SEEDS:
            run_hidden(exercise, function, seed)
    except CheckFailed:
        return "hidden"
    return None


@pytest.mark.parametrize("answer", named(a for a in ANSWERS if not a.right))
def test_a_wrong_answer_loses_its_points(answer, elsewhere, mutant_tally):
    with as_graded(answer, elsewhere) as function:
        found = killed_by(answer.exercise, function)
    mutant_tally.wrong(answer, found)
    assert found is not None


@pytest.mark.parametrize("answer", named(a for a in ANSWERS if a.right and not a.borrowed))
def test_a_right_answer_written_differently_earns_its_points(answer, elsewhere, mutant_tally):
    with as_graded(answer, elsewhere) as function:
        check(answer.exercise, function)
        for seed in SEEDS:
            run_hidden(answer.exercise, function, seed)
    mutant_tally.right(answer)


@pytest.mark.parametrize("answer", named(a for a in ANSWERS if a.right and a.exercise not in FROM_FILES))
def test_a_right_answer_passes_the_self_check_in_a_notebook(answer):
    check(answer.exercise, answer.function)


@pytest.mark.parametrize("answer", named(a for a in ANSWERS if a.borrowed))
def test_the_library_s_own_answer_is_locked_while_an_answer_is_graded(answer, elsewhere):
    with elsewhere.answer(answer) as function, pytest.raises(CheckFailed, match="is locked while this exercise"):
        check(answer.exercise, function)


@pytest.mark.parametrize("name", sorted({name for names in LOCKED.values() for name in names}))
def test_what_is_locked_can_be_locked_and_comes_back(name):
    function = find(name)
    code = function.__code__
    with locked([name]), pytest.raises(RuntimeError, match=f"{name} is locked"):
        function()
    assert function.__code__ is code


def test_every_exercise_has_its_mistakes_its_right_ways_and_its_hidden_checks():
    assert set(HIDDEN) == set(EXERCISES)
    for name in EXERCISES:
        answers = [a for a in ANSWERS if a.exercise == name]
        assert sum(a.right and not a.borrowed for a in answers) >= 3, name
        assert sum(not a.right for a in answers) >= 12, name
    assert {a.exercise for a in ANSWERS} == set(EXERCISES)
    assert set(LOCKED) <= set(EXERCISES)


def test_the_recorded_kill_rate_is_of_the_answers_that_there_are():
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["exercises"]
    kept = ("wrong", "right", "answers")
    now = listing(ANSWERS)
    stale = [name for name in {**now, **recorded} if now.get(name) != {k: recorded.get(name, {}).get(k) for k in kept}]
    assert not stale, "answers were added, changed or removed since the kill rate was recorded: run `make mutants`"


@pytest.mark.parametrize("name", sorted(HIDDEN))
def test_a_hidden_failure_tells_the_property_and_nothing_of_its_inputs(name):
    def noise(*arguments):
        raise RuntimeError(f"secret {arguments}")

    with pytest.raises(CheckFailed) as failure:
        run_hidden(name, noise, seed=0)
    message = str(failure.value)
    assert "secret" not in message
    assert "tensor(" not in message
    assert failure.value.__cause__ is None


def test_hidden_inputs_follow_from_the_seed():
    seen = []

    def spy(mu, logvar, eps):
        seen.append(eps.detach().clone())
        return mu + (logvar / 2).exp() * eps

    for seed in (0, 0, 1):
        run_hidden("reparameterize", spy, seed)
    first = seen[:: len(seen) // 3]
    assert first[0].equal(first[1])
    assert not first[0].equal(first[2])

"""A check is as good as the mistakes it catches: each wrong answer loses its points, each right one earns them."""

import contextlib
import io

import pytest

from autograder.hidden import HIDDEN, run_hidden
from genmodels.checks import EXERCISES, CheckFailed, check
from tests.notebooks.mutants import (  # noqa: F401  (they register)
    ANSWERS,
    diffusion_model,
    diffusion_process,
    vae_bound,
    vae_model,
)

SEEDS = (1, 2)

# A warning is not a failure in a student's notebook, so it is none here.
pytestmark = pytest.mark.filterwarnings("default")


def named(answers):
    return [pytest.param(answer, id=f"{answer.exercise}: {answer.what}") for answer in answers]


def verdict(answer):
    """None if the answer earns its points, else which check it failed: "public" or "hidden"."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            check(answer.exercise, answer.function)
    except CheckFailed:
        return "public"
    try:
        for seed in SEEDS:
            run_hidden(answer.exercise, answer.function, seed)
    except CheckFailed:
        return "hidden"
    return None


@pytest.mark.parametrize("answer", named(a for a in ANSWERS if not a.right))
def test_a_wrong_answer_loses_its_points(answer, mutant_tally):
    killed_by = verdict(answer)
    mutant_tally.wrong(killed_by)
    assert killed_by is not None


@pytest.mark.parametrize("answer", named(a for a in ANSWERS if a.right))
def test_a_right_answer_written_differently_earns_its_points(answer, mutant_tally):
    check(answer.exercise, answer.function)
    for seed in SEEDS:
        run_hidden(answer.exercise, answer.function, seed)
    mutant_tally.right()


def test_every_exercise_has_its_mistakes_its_right_ways_and_its_hidden_checks():
    assert set(HIDDEN) == set(EXERCISES)
    for name in EXERCISES:
        answers = [a for a in ANSWERS if a.exercise == name]
        assert sum(a.right for a in answers) >= 3, name
        assert sum(not a.right for a in answers) >= 12, name
    assert {a.exercise for a in ANSWERS} == set(EXERCISES)


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

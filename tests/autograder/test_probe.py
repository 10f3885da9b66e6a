"""The verdict on one answer, as it is formed inside a student's kernel."""

import json
import sys
from types import SimpleNamespace

import pytest

from autograder.probe import SHOWN, verdict


def judge(answer, hidden: str | None = "toychecks") -> dict[str, str]:
    return json.loads(verdict("double", {} if answer is None else {"double": answer}, "toychecks", hidden, 0))


def test_a_right_answer_passes_and_shows_what_the_check_printed():
    assert judge(lambda x: 2 * x) == {"status": "passed", "message": "", "printed": "double: holds.\n"}


def test_an_answer_that_only_knows_the_public_inputs_fails_by_the_hidden_ones_alone():
    assert judge(lambda x: 2) == {"status": "failed", "message": "double is wrong.", "printed": ""}
    assert judge(lambda x: 2, hidden=None)["status"] == "passed"


def test_a_missing_answer_fails():
    assert judge(None)["status"] == "failed"
    assert "double is not defined" in judge(None)["message"]


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, type("Mine", (BaseException,), {})])
def test_an_answer_that_leaves_the_program_fails(kind: type[BaseException]):
    def leaves(x):
        raise kind

    assert judge(leaves)["status"] == "failed"
    assert kind.__name__ in judge(leaves)["message"]


def test_the_time_limit_s_interrupt_goes_through():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(interrupted)


def test_checks_that_go_wrong_are_not_the_answer_s_fault(monkeypatch: pytest.MonkeyPatch):
    def fails(exercise, answer, seed):
        raise ValueError("no such exercise")

    monkeypatch.setitem(sys.modules, "broken_checks", SimpleNamespace(run_hidden=fails))
    assert judge(lambda x: 2 * x, hidden="broken_checks")["status"] == "broken"
    assert "no such exercise" in judge(lambda x: 2 * x, hidden="broken_checks")["message"]
    assert judge(lambda x: 2 * x, hidden="no_such_module")["status"] == "broken"


def test_what_an_answer_prints_is_kept_within_bounds():
    def chatty(x):
        print("on and on " * SHOWN)
        return 2 * x

    assert len(judge(chatty)["printed"]) == SHOWN

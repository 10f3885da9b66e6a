"""The verdict on one answer, as it is formed inside a student's kernel."""

import sys
from types import SimpleNamespace

import pytest

from autograder.probe import SHOWN, _guard, verdict


def judge(answer, **other) -> dict[str, str]:
    import toychecks  # a fixture makes it importable

    checks = {"check": toychecks.check, "run_hidden": toychecks.run_hidden, **other}
    return verdict("double", {} if answer is None else {"double": answer}, **checks, seed=0)


def test_a_right_answer_passes_and_shows_what_the_check_printed():
    assert judge(lambda x: 2 * x) == {"status": "passed", "message": "", "printed": "double: holds.\n"}


def test_an_answer_that_only_knows_the_public_inputs_fails_by_the_hidden_ones_alone():
    assert judge(lambda x: 2) == {"status": "failed", "message": "double is wrong.", "printed": ""}
    assert judge(lambda x: 2, run_hidden=None)["status"] == "passed"


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


def test_checks_that_go_wrong_are_not_the_answer_s_fault():
    def fails(exercise, answer, seed):
        raise ValueError("no such exercise")

    assert judge(lambda x: 2 * x, run_hidden=fails)["status"] == "broken"
    assert "no such exercise" in judge(lambda x: 2 * x, run_hidden=fails)["message"]


def test_what_an_answer_prints_is_kept_within_bounds():
    def chatty(x):
        print("on and on " * SHOWN)
        return 2 * x

    assert len(judge(chatty)["printed"]) == SHOWN


# ------------------------------------------------------------------ what a notebook replaced is put back


class Base:
    def size(self):
        return 1


class Derived(Base):
    def weight(self):
        return 2


def helper():
    return 3


@pytest.fixture
def library():
    """A library of one module, and the function that puts back what is replaced in it."""
    classes = {"Base": type("Base", (), dict(vars(Base))), "helper": helper, "number": 4}
    classes["Derived"] = type("Derived", (classes["Base"],), dict(vars(Derived)))
    for cls in (classes["Base"], classes["Derived"]):
        cls.__module__ = "library"
    library = SimpleNamespace(**classes)
    put_back = _guard({"library": library, "builtins": sys.modules["builtins"]}, {"library"})
    return library, put_back


def test_nothing_is_put_back_where_nothing_was_replaced(library):
    module, put_back = library
    module.number, module.another = 5, helper  # data and new functions are nobody's business
    assert put_back() == []
    assert module.number == 5
    assert module.another is helper


def test_a_function_a_method_and_a_body_are_put_back(library):
    module, put_back = library
    original, code = module.helper, helper.__code__
    module.helper = lambda: 0
    module.Derived.weight = lambda self: 0
    assert sorted(put_back()) == ["library.Derived.weight", "library.helper"]
    assert module.helper is original
    assert module.Derived().weight() == 2
    helper.__code__ = (lambda: 0).__code__
    assert put_back() == ["helper"]
    assert helper.__code__ is code


def test_a_function_that_was_deleted_is_put_back(library):
    module, put_back = library
    del module.helper
    del module.Base.size
    assert sorted(put_back()) == ["library.Base.size", "library.helper"]
    assert module.Base().size() == 1


def test_what_hides_an_inherited_method_or_a_builtin_is_taken_away(library):
    module, put_back = library
    module.Derived.size = lambda self: 0
    module.isinstance = lambda *a: True
    assert sorted(put_back()) == ["library.Derived.size", "library.isinstance"]
    assert module.Derived().size() == 1
    assert not hasattr(module, "isinstance")

"""What a check says, and to whom. Which answers it accepts is the mutants' business, in tests/notebooks."""

import pytest
import torch

from genmodels import gaussian, vae
from genmodels.checks import EXERCISES, CheckFailed, check


def test_a_right_answer_prints_one_friendly_line(capsys):
    check("reparameterize", vae.reparameterize)
    assert capsys.readouterr().out == "reparameterize: all 5 properties hold.\n"


def test_an_unwritten_answer_is_told_so_and_where_to_read():
    def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
        raise NotImplementedError("replace this line with your answer")

    with pytest.raises(CheckFailed, match=r"kl_normal is not written yet[\s\S]*equation kl-gaussians"):
        check("kl_normal", kl_normal)


def test_a_failing_property_is_named_with_its_input_what_came_and_what_was_expected():
    def uses_the_variance(mu, logvar, eps):
        return mu + logvar.exp() * eps

    with pytest.raises(CheckFailed) as failure:
        check("reparameterize", uses_the_variance)
    message = str(failure.value)
    assert "the noise is scaled by the standard deviation" in message
    assert "logvar = log 4" in message
    assert "the result is [4], it must be [2]" in message
    assert "3 earlier properties hold" in message


def test_an_error_in_the_answer_is_passed_on_by_name():
    with pytest.raises(CheckFailed, match="your function raised ZeroDivisionError: division by zero"):
        check("kl_normal", lambda *_: 1 / 0)


def test_a_call_in_place_of_the_function_is_explained():
    with pytest.raises(CheckFailed, match="Hand over the function itself"):
        check("kl_normal", gaussian.kl_normal(torch.zeros(1, 1), torch.zeros(1, 1)))


def test_an_unknown_exercise_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"exercise must be one of .*elbo_terms, .*gap, .* got 'kl'"):
        check("kl", gaussian.kl_normal)


@pytest.mark.parametrize("name", sorted(EXERCISES))
@pytest.mark.parametrize("answer", [lambda *_: None, lambda *_: 0.0, lambda *_: torch.zeros(()), lambda *_: "nan"])
def test_nonsense_gets_a_message_and_never_another_exception(name, answer):
    with pytest.raises(CheckFailed, match=name):
        check(name, answer)


def test_notebooks_show_the_message_in_place_of_a_stack_trace():
    with pytest.raises(CheckFailed) as failure:
        check("kl_normal", None)
    assert failure.value._render_traceback_() == str(failure.value).splitlines()

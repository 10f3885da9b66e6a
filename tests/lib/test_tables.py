"""The schedule's tables and the times that index them: looked at once, moved once, and never wrong for it."""

from unittest import mock

import pytest
import torch
from torch import nn

from genmodels import _tables, diffusion
from genmodels.batches import Batches
from genmodels.team import Team

X = torch.zeros(4, 3)


def test_times_that_a_loop_or_a_sampler_has_made_are_not_looked_at_again():
    schedule = diffusion.cosine_schedule(5)
    drawn = Batches(X, 4, 0, torch.device("cpu"), Team()).draws(3).integers(4, 1, 5)
    made = diffusion._times(5, X)
    with mock.patch.object(torch.Tensor, "min", side_effect=AssertionError("looked")):
        for t in (drawn, made):
            diffusion.q_sample(X, t, X, schedule)
        with pytest.raises(AssertionError, match="looked"):
            diffusion.q_sample(X, drawn.clone(), X, schedule)


def test_what_is_known_of_times_does_not_help_them_where_they_are_wrong():
    late = _tables.known_times(torch.tensor([1, 7, 2, 3]), 1, 9)
    with pytest.raises(ValueError, match=r"t must lie in 1\.\.5, got \[1, 7\]"):
        _tables.require_times("t", late, X, 1, 5)
    _tables.require_times("t", _tables.known_times(torch.tensor([1, 2, 5, 3]), 1, 9), X, 1, 5)  # they are right
    with pytest.raises(ValueError, match="shape"):
        _tables.require_times("t", _tables.known_times(torch.tensor([1, 2]), 1, 5), X, 1, 5)


def test_times_that_were_changed_in_place_are_looked_at_again():
    schedule = diffusion.cosine_schedule(5)
    t = _tables.known_times(torch.tensor([1, 5, 2, 3]), 1, 5)
    t -= 1  # as one does who counts from 0
    with pytest.raises(ValueError, match=r"t must lie in 1\.\.5, got \[0, 4\]"):
        diffusion.q_sample(X, t, X, schedule)


def test_a_table_is_cast_once_for_each_dtype_and_stays_as_it_was():
    schedule, t = diffusion.cosine_schedule(5), torch.tensor([0, 5, 2, 2])
    before = schedule.alpha_bar.clone()
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        x = X.to(dtype)
        values = _tables.at_times(schedule.alpha_bar, t, x)
        assert _tables._placed(schedule.alpha_bar, x) is _tables._placed(schedule.alpha_bar, x)
        assert torch.equal(values, before[t].to(dtype)[:, None])
    assert torch.equal(schedule.alpha_bar, before)


def test_tables_that_a_sampler_has_placed_serve_training():
    schedule, network = diffusion.cosine_schedule(5), nn.Linear(3, 3)

    def model(xt, t):
        return network(xt)

    diffusion.sample(model, (4, 3), schedule, torch.Generator().manual_seed(0))  # in inference mode
    x0 = X.clone().requires_grad_()
    diffusion.eps_loss(model, x0, torch.tensor([1, 2, 3, 5]), torch.ones(4, 3), schedule).sum().backward()
    assert x0.grad.abs().min() > 0

"""What maximum likelihood does, on distributions that can be summed."""

import numpy as np
import pytest
from scipy import optimize, stats


@pytest.mark.equation("maximum-likelihood")
def test_mean_log_likelihood_is_minus_entropy_minus_divergence():
    random = np.random.default_rng(0)
    for _ in range(20):
        p_data, p_model = random.dirichlet(np.ones(7)), random.dirichlet(np.ones(7))
        mean_log_likelihood = float(p_data @ np.log(p_model))
        assert mean_log_likelihood == pytest.approx(-stats.entropy(p_data) - stats.entropy(p_data, p_model))


@pytest.mark.equation("maximum-likelihood")
def test_the_model_that_maximises_the_likelihood_is_the_one_at_the_smallest_divergence():
    # A two-parameter family over five outcomes, fitted both ways by search.
    p_data = np.array([0.1, 0.25, 0.3, 0.25, 0.1])
    at = np.arange(5)

    def member(parameters):
        weights = np.exp(parameters[0] * at - parameters[1] ** 2 * at**2)
        return weights / weights.sum()

    likeliest = optimize.minimize(lambda w: -p_data @ np.log(member(w)), [0.1, 0.2], tol=1e-12)
    closest = optimize.minimize(lambda w: stats.entropy(p_data, member(w)), [0.5, 0.6], tol=1e-12)
    np.testing.assert_allclose(member(likeliest.x), member(closest.x), atol=1e-4)

"""The game against sums on a grid, torch.distributions, SciPy and discriminators whose gradient is known."""

import itertools
import math

import numpy as np
import pytest
import sympy
import torch
from scipy import integrate, optimize, spatial, special, stats
from torch.distributions import Bernoulli

from genmodels import gan, metrics, nets


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distribution(n, seed):
    return torch.softmax(2 * draw(n, seed=seed), dim=0)


def subsets(n):
    return itertools.chain.from_iterable(itertools.combinations(range(n), size) for size in range(n + 1))


REAL, FAKE = draw(7, seed=1), draw(5, 1, seed=2)


# --- losses from logits ---------------------------------------------------------------------------------------------


@pytest.mark.equation("gan-value")
def test_the_value_is_the_log_likelihood_of_the_labels_under_a_classifier():
    want = Bernoulli(logits=REAL).log_prob(torch.ones(7)).mean() + Bernoulli(logits=FAKE).log_prob(0 * FAKE).mean()
    torch.testing.assert_close(gan.value(REAL, FAKE), want)
    for kind in ("minimax", "non_saturating"):
        torch.testing.assert_close(gan.discriminator_loss(REAL, FAKE, kind), -want)
    torch.testing.assert_close(gan.discriminator_loss(REAL, FAKE), -want)


@pytest.mark.equation("gan-value")
def test_the_value_of_a_discriminator_that_does_not_look_is_minus_log_4():
    assert gan.value(torch.zeros(3), torch.zeros(4)).item() == pytest.approx(-math.log(4))


@pytest.mark.equation("gan-value")
def test_the_saturating_loss_of_the_generator_is_its_part_of_the_value():
    others = gan.value(REAL, FAKE) - Bernoulli(logits=REAL).log_prob(torch.ones(7)).mean()
    torch.testing.assert_close(gan.generator_loss(FAKE, "minimax"), others)


@pytest.mark.equation("gan-non-saturating")
def test_the_non_saturating_loss_is_the_cross_entropy_of_fakes_labelled_as_real():
    want = -Bernoulli(logits=FAKE).log_prob(torch.ones_like(FAKE)).mean()
    torch.testing.assert_close(gan.generator_loss(FAKE), want)
    torch.testing.assert_close(gan.generator_loss(FAKE, "non_saturating"), want)


@pytest.mark.equation("gan-non-saturating")
def test_with_the_non_saturating_loss_the_game_is_not_zero_sum_and_with_the_minimax_loss_it_is():
    # Zero-sum: what the generator's move costs the one, it brings the other, so the slopes at the fakes cancel.
    def slopes(kind):
        logits = FAKE.clone().requires_grad_()
        of_g = torch.autograd.grad(gan.generator_loss(logits, kind), logits)[0]
        return of_g + torch.autograd.grad(gan.discriminator_loss(REAL, logits, kind), logits)[0]

    torch.testing.assert_close(slopes("minimax"), torch.zeros_like(FAKE))
    assert (slopes("non_saturating").abs() > 0.01).any()


@pytest.mark.equation("lsgan-losses")
def test_the_least_squares_losses_are_half_the_squared_distances_to_the_targets():
    real, fake = np.array([0.5, -1.0, 2.0]), np.array([0.2, 3.0])
    loss_d = (sum((r - 1) ** 2 for r in real) / 3 + sum(f**2 for f in fake) / 2) / 2
    tensors = torch.from_numpy(real), torch.from_numpy(fake)
    assert gan.discriminator_loss(*tensors, "least_squares").item() == pytest.approx(loss_d)
    assert gan.generator_loss(tensors[1], "least_squares").item() == pytest.approx((0.8**2 + 2**2) / 4)


@pytest.mark.equation("hinge-losses")
def test_the_hinge_stops_pushing_beyond_its_margins():
    real, fake = torch.tensor([3.0, 0.25, -1.0]), torch.tensor([-4.0, 0.5, -0.75])
    real.requires_grad_(), fake.requires_grad_()
    loss = gan.discriminator_loss(real, fake, "hinge")
    assert loss.item() == pytest.approx((0 + 0.75 + 2) / 3 + (0 + 1.5 + 0.25) / 3)
    loss.backward()
    torch.testing.assert_close(real.grad, torch.tensor([0, -1, -1]) / 3)
    torch.testing.assert_close(fake.grad, torch.tensor([0, 1, 1]) / 3)


@pytest.mark.equation("hinge-losses", "hinge-optimum", "hinge-total-variation")
def test_the_best_hinge_discriminator_is_the_sign_of_the_difference_and_its_loss_twice_what_overlaps():
    # At each point the loss is a piecewise linear function of the logit; a linear program finds its least value.
    p, q = distribution(6, 3).numpy(), distribution(6, 4).numpy()
    eye, zero = np.eye(6), np.zeros((6, 6))
    result = optimize.linprog(  # variables: logits, slack of real, slack of fake
        np.concatenate([np.zeros(6), p, q]),
        A_ub=np.block([[-eye, -eye, zero], [eye, zero, -eye]]),
        b_ub=-np.ones(12),
        bounds=[(None, None)] * 6 + [(0, None)] * 12,
    )
    assert result.fun == pytest.approx(2 * np.minimum(p, q).sum())
    np.testing.assert_allclose(result.x[:6], np.sign(p - q), atol=1e-6)
    largest = max(abs(p[list(subset)].sum() - q[list(subset)].sum()) for subset in subsets(6))  # of all events
    assert result.x[:6] @ (p - q) == pytest.approx(2 * largest)
    sign = torch.sign(torch.from_numpy(p - q))
    losses = [p[i] * gan.discriminator_loss(sign[[i]], 0 * sign[[i]] - 2, "hinge").item() for i in range(6)]
    losses += [q[i] * gan.discriminator_loss(0 * sign[[i]] + 2, sign[[i]], "hinge").item() for i in range(6)]
    assert sum(losses) == pytest.approx(result.fun)


@pytest.mark.equation("wgan-critic-loss")
def test_the_critics_loss_is_a_difference_of_means_and_the_generators_its_part():
    assert gan.discriminator_loss(torch.tensor([1.0, 3.0]), torch.tensor([4.0]), "wasserstein").item() == 2.0
    assert gan.generator_loss(torch.tensor([4.0, 5.0]), "wasserstein").item() == -4.5
    assert gan.generator_loss(torch.tensor([4.0, 5.0]), "hinge").item() == -4.5


@pytest.mark.parametrize("kind", gan.KINDS)
@pytest.mark.parametrize("size", [100.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_and_their_gradients_are_finite_for_huge_logits(kind, size, dtype):
    for real_sign in (1, -1):
        for fake_sign in (1, -1):
            real = torch.full((3,), real_sign * size, dtype=dtype, requires_grad=True)
            fake = torch.full((3,), fake_sign * size, dtype=dtype, requires_grad=True)
            loss = gan.discriminator_loss(real, fake, kind) + gan.generator_loss(fake, kind)
            loss.backward()
            assert torch.isfinite(loss)
            assert torch.isfinite(real.grad).all()
            assert torch.isfinite(fake.grad).all()


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_huge_logits_on_the_wrong_side_cost_what_they_measure(size):
    # -log sigmoid(-l) is l to rounding; a logarithm of a clamped sigmoid would give about 100 at most.
    wrong = torch.full((2,), -size)
    assert gan.discriminator_loss(wrong, -wrong).item() == pytest.approx(2 * size)
    assert gan.generator_loss(wrong).item() == pytest.approx(size)
    assert gan.generator_loss(-wrong, "minimax").item() == pytest.approx(-size)
    assert gan.generator_loss(wrong, "minimax").item() == pytest.approx(0, abs=1e-40)


@pytest.mark.equation("gan-generator-slopes")
@pytest.mark.parametrize("kind", ["minimax", "non_saturating"])
def test_the_slope_of_each_generator_loss_is_what_autograd_finds(kind):
    logits = torch.linspace(-30, 30, 61, dtype=torch.float64, requires_grad=True)
    (want,) = torch.autograd.grad(sum(gan.generator_loss(one[None], kind) for one in logits), logits)
    torch.testing.assert_close(gan.generator_slope(torch.sigmoid(logits.detach()), kind), want)


@pytest.mark.equation("gan-generator-slopes")
def test_where_the_discriminator_sees_through_one_slope_vanishes_and_the_other_does_not():
    d = torch.tensor([0.5, 1e-2, 1e-4, 1e-8, 0.0], dtype=torch.float64)
    assert gan.generator_slope(d, "minimax").tolist() == (-d).tolist()
    assert gan.generator_slope(d, "non_saturating").tolist() == (d - 1).tolist()
    logit = torch.full((1,), -40.0, dtype=torch.float64, requires_grad=True)
    saturating, other = (
        torch.autograd.grad(gan.generator_loss(logit, kind), logit)[0].item() for kind in ("minimax", "non_saturating")
    )
    assert -1e-17 < saturating < 0
    assert other == pytest.approx(-1, abs=1e-15)


# --- the gradient penalty -------------------------------------------------------------------------------------------


@pytest.mark.equation("wgan-gradient-penalty")
@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 2, 2)])
def test_the_penalty_of_a_linear_critic_is_known_wherever_it_is_taken(shape):
    weight = draw(*shape[1:], seed=5)
    u = torch.tensor([0.0, 0.3, 0.7, 1.0], dtype=torch.float64)
    got = gan.gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), draw(*shape, seed=6), draw(*shape, seed=7), u)
    want = (math.sqrt((weight**2).sum().item()) - 1) ** 2
    np.testing.assert_allclose(got.detach().numpy(), np.full(4, want))


@pytest.mark.equation("wgan-gradient-penalty")
def test_the_penalty_of_a_quadratic_critic_shows_where_between_each_pair_it_is_taken():
    # The gradient of a |x|² / 2 is a x, so the penalty is (a |x| - 1)² at x, a number for each example.
    real, fake, u = draw(5, 3, seed=8), draw(5, 3, seed=9), torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0]).double()
    got = gan.gradient_penalty(lambda x: 0.75 * (x**2).sum(1, keepdim=True), real, fake, u)
    points = [u[i].item() * real[i].numpy() + (1 - u[i].item()) * fake[i].numpy() for i in range(5)]
    np.testing.assert_allclose(got.detach().numpy(), [(1.5 * np.linalg.norm(x) - 1) ** 2 for x in points], rtol=1e-7)


@pytest.mark.equation("wgan-gradient-penalty")
def test_the_penalty_is_two_sided_and_its_gradient_reaches_the_critics_weights():
    slope = torch.tensor([0.25, 3.0], dtype=torch.float64, requires_grad=True)
    x, u = torch.zeros(2, 1, dtype=torch.float64), torch.rand(2, generator=torch.Generator().manual_seed(0))
    penalty = gan.gradient_penalty(lambda x: slope * x[:, 0], x, x + 1, u)
    torch.testing.assert_close(penalty, torch.tensor([0.75**2, 2.0**2], dtype=torch.float64))
    penalty.sum().backward()
    torch.testing.assert_close(slope.grad, 2 * (slope.detach() - 1))  # too flat is pushed up, too steep down


def test_the_penalty_agrees_with_finite_differences_through_a_network():
    critic = nets.mlp_discriminator(2, 8, seed=1).double()
    real, fake, u = draw(3, 2, seed=10), draw(3, 2, seed=11), torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    weight = critic[0].weight
    (got,) = torch.autograd.grad(gan.gradient_penalty(critic, real, fake, u).sum(), weight)
    step = 1e-6
    with torch.no_grad():
        shifted = []
        for sign in (1, -1):
            weight[0, 0] += sign * step
            with torch.enable_grad():
                shifted.append(gan.gradient_penalty(critic, real, fake, u).sum().item())
            weight[0, 0] -= sign * step
    assert got[0, 0].item() == pytest.approx((shifted[0] - shifted[1]) / (2 * step), rel=1e-4, abs=1e-8)


def test_the_penalty_is_finite_where_the_critic_is_flat():
    weight = torch.ones((), requires_grad=True)
    zero = torch.zeros(2, 3)
    penalty = gan.gradient_penalty(lambda x: weight * (x**2).sum(1), zero, zero, torch.zeros(2))
    penalty.sum().backward()
    torch.testing.assert_close(penalty, torch.ones(2))
    assert torch.isfinite(weight.grad)


def test_the_penalty_leaves_the_examples_without_a_gradient():
    real, fake = draw(3, 2).requires_grad_(), draw(3, 2, seed=1).requires_grad_()
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    gan.gradient_penalty(lambda x: x**2 @ weight, real, fake, torch.full((3,), 0.5)).sum().backward()
    assert real.grad is None
    assert fake.grad is None
    assert weight.grad is not None


# --- the game on a grid ---------------------------------------------------------------------------------------------

P, Q = distribution(9, 12), distribution(9, 13)


@pytest.mark.equation("gan-optimal-discriminator")
def test_no_search_finds_a_better_discriminator():
    best = gan.optimal_discriminator(P, Q)
    for i in range(9):  # the value is a sum over the grid, so each entry can be searched alone
        found = optimize.minimize_scalar(
            lambda d, i=i: -(P[i].item() * math.log(d) + Q[i].item() * math.log1p(-d)),
            bounds=(1e-9, 1 - 1e-9),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert best[i].item() == pytest.approx(found.x, abs=1e-6)
    for seed in range(20):
        other = torch.sigmoid(torch.logit(best) + 0.1 * draw(9, seed=seed))
        assert gan.tabular_value(other, P, Q) < gan.tabular_value(best, P, Q)


@pytest.mark.equation("gan-optimal-discriminator")
def test_the_optimal_discriminator_is_bayes_rule_and_undecided_where_nothing_is():
    p = torch.tensor([0.5, 0.5, 0.0, 0.0])
    q = torch.tensor([0.0, 0.25, 0.75, 0.0])
    torch.testing.assert_close(gan.optimal_discriminator(p, q), torch.tensor([1.0, 2 / 3, 0.0, 0.5]))


@pytest.mark.equation("gan-value-at-optimum")
def test_the_value_at_the_optimum_is_twice_scipys_divergence_less_log_4():
    best = gan.optimal_discriminator(P, Q)
    jsd = spatial.distance.jensenshannon(P.numpy(), Q.numpy()) ** 2
    assert gan.tabular_value(best, P, Q).item() == pytest.approx(2 * jsd - math.log(4))
    assert gan.tabular_value(gan.optimal_discriminator(P, P), P, P).item() == pytest.approx(-math.log(4))


@pytest.mark.equation("gan-value-at-optimum")
def test_the_value_from_samples_tends_to_the_sum_on_the_grid():
    # 200,000 draws of each side through the logits of D*: the batch's value has the grid's as its expectation.
    n, best = 200_000, gan.optimal_discriminator(P, Q)
    logits = torch.logit(best)
    generator = torch.Generator().manual_seed(0)
    real, fake = (logits[torch.multinomial(p, n, replacement=True, generator=generator)] for p in (P, Q))
    spread = math.sqrt((torch.sigmoid(real).log().var() + torch.sigmoid(-fake).log().var()).item() / n)
    want = 2 * gan.jensen_shannon(P, Q).item() - math.log(4)
    assert gan.value(real, fake).item() == pytest.approx(want, abs=5 * spread)


@pytest.mark.equation("jensen-shannon")
def test_the_divergence_agrees_with_scipy_even_where_one_side_has_no_mass():
    p = torch.tensor([0.0, 0.2, 0.3, 0.5, 0.0], dtype=torch.float64)
    q = torch.tensor([0.4, 0.0, 0.1, 0.5, 0.0], dtype=torch.float64)
    for a, b in ((P, Q), (p, q), (q, p)):
        assert gan.jensen_shannon(a, b).item() == pytest.approx(spatial.distance.jensenshannon(a, b) ** 2)


@pytest.mark.equation("jensen-shannon")
def test_the_divergence_is_zero_for_equals_symmetric_and_log_2_for_strangers_however_far_apart():
    assert gan.jensen_shannon(P, P).item() == pytest.approx(0, abs=1e-15)
    torch.testing.assert_close(gan.jensen_shannon(P, Q), gan.jensen_shannon(Q, P))
    for gap in (1, 4, 8):
        p, q = torch.zeros(10, dtype=torch.float64), torch.zeros(10, dtype=torch.float64)
        p[0], q[gap] = 1, 1
        assert gan.jensen_shannon(p, q).item() == pytest.approx(math.log(2))


@pytest.mark.equation("jensen-shannon")
def test_the_divergence_is_the_information_that_a_sample_holds_about_its_origin():
    # I(label; x) = H(label) - H(label given x), with a fair coin for the label: entropies, no divergence.
    p, q = P.numpy(), Q.numpy()
    conditional = ((p + q) / 2 * (special.entr(p / (p + q)) + special.entr(q / (p + q)))).sum()
    assert gan.jensen_shannon(P, Q).item() == pytest.approx(math.log(2) - conditional)


@pytest.mark.equation("lsgan-optimum")
@pytest.mark.parametrize(("a", "b"), [(-1.0, 1.0), (0.0, 1.0), (2.0, -0.5)])
def test_the_best_least_squares_discriminator_is_the_weighted_mean_of_its_targets(a, b):
    p, q = P.numpy(), Q.numpy()
    found = [
        optimize.minimize_scalar(lambda d, i=i: p[i] * (d - b) ** 2 + q[i] * (d - a) ** 2, tol=1e-12).x
        for i in range(9)
    ]
    np.testing.assert_allclose(found, (b * p + a * q) / (p + q), atol=1e-6)


@pytest.mark.equation("lsgan-pearson")
def test_the_least_squares_criterion_with_targets_minus_1_1_and_0_is_pearsons_chi_squared_from_the_mixture():
    # The best discriminator is searched, not written down, and the statistic is SciPy's, of counts in proportion.
    p, q = P.numpy(), Q.numpy()
    a, b, c = -1.0, 1.0, 0.0
    best = np.array(
        [
            optimize.minimize_scalar(lambda d, i=i: p[i] * (d - b) ** 2 + q[i] * (d - a) ** 2, tol=1e-12).x
            for i in range(9)
        ]
    )
    criterion = (p * (best - c) ** 2 + q * (best - c) ** 2).sum() / 2
    mixture = (p + q) / 2
    assert criterion == pytest.approx(stats.chisquare(q, mixture).statistic, rel=1e-6)
    assert criterion == pytest.approx(((2 * q - (p + q)) ** 2 / (p + q)).sum() / 2, rel=1e-6)  # as Mao et al. print it


@pytest.mark.equation("gan-envelope", "gan-non-saturating-gradient")
def test_against_the_best_discriminator_held_still_each_generator_goes_down_its_own_divergence():
    # The generator's distribution is a softmax of nine numbers. Left: autograd, with D* a constant. Right: divergences
    # from SciPy, in which the mixture follows, differentiated by central differences.
    p, theta = P.numpy(), draw(9, seed=14)
    logits = torch.from_numpy(np.log(p)) - torch.log_softmax(theta, 0)  # of D*: the log of the ratio of densities

    def gradient(kind):
        free = theta.clone().requires_grad_()
        weights = torch.softmax(free, 0)
        loss = sum(w * gan.generator_loss(one[None], kind) for w, one in zip(weights, logits, strict=True))
        return torch.autograd.grad(loss, free)[0].numpy()

    def slope(divergence, step=1e-5):
        ends = [
            [divergence(special.softmax(theta.numpy() + sign * shift)) for sign in (1, -1)]
            for shift in step * np.eye(9)
        ]
        return np.array([(up - down) / (2 * step) for up, down in ends])

    def twice_jsd(q):
        return 2 * spatial.distance.jensenshannon(p, q) ** 2

    def twice_kl_of_mixture(q):
        return 2 * special.rel_entr((p + q) / 2, p).sum()

    def as_arjovsky_and_bottou_print_it(q):
        return special.rel_entr(q, p).sum() - twice_jsd(q)

    np.testing.assert_allclose(gradient("minimax"), slope(twice_jsd), atol=1e-9)
    np.testing.assert_allclose(gradient("non_saturating"), slope(twice_kl_of_mixture), atol=1e-9)
    np.testing.assert_allclose(gradient("non_saturating"), slope(as_arjovsky_and_bottou_print_it), atol=1e-9)
    assert np.abs(gradient("minimax") - gradient("non_saturating")).max() > 0.01


@pytest.mark.equation("gan-missing-share")
@pytest.mark.parametrize("missing", [[0], [1, 4], [0, 2, 3, 5, 6]])
def test_what_the_non_saturating_loss_charges_for_a_missing_share(missing):
    p = P.numpy()
    q = p.copy()
    q[missing] = 0
    s, q = p[missing].sum(), q / q.sum()
    want = 2 * special.rel_entr((p + q) / 2, p).sum()
    assert (2 - s) * math.log((2 - s) / (2 - 2 * s)) - s * math.log(2) == pytest.approx(want)
    assert special.rel_entr(q, p).sum() == pytest.approx(-math.log(1 - s))  # the reverse divergence
    assert special.rel_entr(p, q).sum() == math.inf


@pytest.mark.equation("gan-best-response")
@pytest.mark.parametrize("kind", ["minimax", "non_saturating"])
def test_the_best_generator_against_a_fixed_discriminator_is_a_single_point(kind):
    logits = draw(9, seed=15)
    price = [gan.generator_loss(one[None], kind).item() for one in logits]
    found = optimize.linprog(price, A_eq=np.ones((1, 9)), b_eq=[1], bounds=(0, None))  # over all distributions
    best = torch.sigmoid(logits).max().item()
    assert found.fun == pytest.approx(-math.log(best) if kind == "non_saturating" else math.log1p(-best))
    np.testing.assert_allclose(found.x, np.eye(9)[torch.sigmoid(logits).argmax()], atol=1e-9)


@pytest.mark.equation("gan-circling")
def test_steps_at_once_lead_away_from_the_saddle_and_steps_in_turn_keep_a_quadratic_form():
    x, y, eta = sympy.symbols("x y eta")
    value = x * y
    at_once = x - eta * value.diff(x), y + eta * value.diff(y)
    assert sympy.expand(at_once[0] ** 2 + at_once[1] ** 2 - (1 + eta**2) * (x**2 + y**2)) == 0
    second = y + eta * value.diff(y)
    first = x - eta * value.diff(x).subs(y, second)

    def form(a, b):
        return a**2 + b**2 + eta * a * b

    assert sympy.expand(form(first, second) - form(x, y)) == 0


@pytest.mark.equation("gan-average")
def test_the_mean_place_of_players_who_step_in_turn_is_the_other_players_way_over_the_number_of_turns():
    n, (x0, y0, eta) = 5, sympy.symbols("x0 y0 eta", positive=True)
    turn = sympy.Matrix([[1 - eta**2, -eta], [eta, 1]])  # y' = y + eta x, x' = x - eta y'
    places = [turn**k * sympy.Matrix([x0, y0]) for k in range(n + 1)]
    mean_x, mean_y = sum(place[0] for place in places[:-1]) / n, sum(place[1] for place in places[1:]) / n
    assert sympy.expand(mean_y - (x0 - places[n][0]) / (eta * n)) == 0
    assert sympy.expand(mean_x - (places[n][1] - y0) / (eta * n)) == 0


def test_the_numbers_that_the_chapter_gives_for_the_mean_place():
    x, y, xs, ys = 0.4, 0.0, [], []
    for _ in range(150):
        y = y + 0.05 * x
        xs.append(x)
        ys.append(y)
        x = x - 0.05 * y
    assert max(map(abs, xs)) < 0.41
    assert abs(np.mean(ys)) <= 2 * max(map(abs, xs)) / (0.05 * 150) < 0.11


@pytest.mark.equation("lsgan-losses")
def test_with_targets_0_and_1_the_least_squares_discriminator_is_the_optimal_one_and_its_loss_a_harmonic_mean():
    def loss(i, logit):  # one point of the grid: expectations as sums, each with a batch of its own
        logit = torch.tensor([logit], dtype=torch.float64)
        as_real = gan.discriminator_loss(
            logit, torch.zeros(1), "least_squares"
        ).item()  # the other side is at its target
        as_fake = gan.discriminator_loss(torch.ones(1), logit, "least_squares").item()
        return P[i].item() * as_real + Q[i].item() * as_fake

    found = [optimize.minimize_scalar(lambda logit, i=i: loss(i, logit)) for i in range(9)]
    np.testing.assert_allclose([one.x for one in found], gan.optimal_discriminator(P, Q).numpy(), atol=1e-6)
    assert sum(one.fun for one in found) == pytest.approx((P * Q / (P + Q)).sum().item() / 2)


@pytest.mark.equation("wgan-dual")
@pytest.mark.equation("wgan-critic-loss")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_best_critic_of_slope_1_measures_the_wasserstein_distance(seed):
    # On a line it is enough to bound the slope between neighbours. The program knows nothing of sorting.
    points = np.sort(draw(12, seed=20 + seed).numpy())
    counts = [np.bincount(np.random.default_rng(seed + i).integers(12, size=30), minlength=12) for i in (0, 50)]
    p, q = (count / 30 for count in counts)
    steps = np.diff(np.eye(12), axis=0)  # f(x_{i+1}) - f(x_i)
    found = optimize.linprog(
        q - p,
        A_ub=np.vstack([steps, -steps]),
        b_ub=np.tile(np.diff(points), 2),
        A_eq=np.eye(1, 12),
        b_eq=[0],
        bounds=(None, None),
    )
    x, y = (torch.from_numpy(np.repeat(points, count))[:, None] for count in counts)
    distance = metrics.wasserstein_1d(x, y).item()
    assert -found.fun == pytest.approx(distance)
    critic = dict(zip(points, found.x, strict=True))
    real, fake = (torch.tensor([critic[v.item()] for v in side[:, 0]]) for side in (x, y))
    assert gan.discriminator_loss(real, fake, "wasserstein").item() == pytest.approx(-distance, abs=1e-6)


def cheapest_plan(cost, p, q):
    """The transport of p (N,) to q (M,) at cost (N, M), as a linear program over plans: the plan and its cost."""
    n, m = cost.shape
    marginals = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    found = optimize.linprog(cost.ravel(), A_eq=marginals, b_eq=np.concatenate([p, q]), bounds=(0, None))
    return found.x.reshape(n, m), found.fun


@pytest.mark.equation("wasserstein-distance", "wasserstein-line")
def test_on_a_line_the_cheapest_plan_costs_the_area_between_the_distribution_functions():
    p, q, points = P.numpy(), Q.numpy(), np.sort(draw(9, seed=26).numpy())
    _, cost = cheapest_plan(np.abs(points[:, None] - points[None, :]), p, q)
    area = (np.abs(np.cumsum(p) - np.cumsum(q))[:-1] * np.diff(points)).sum()
    assert cost == pytest.approx(area)
    assert cost == pytest.approx(stats.wasserstein_distance(points, points, p, q))
    real, fake = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[2.0], [3.0], [4.0]])  # the chapter's example
    assert metrics.wasserstein_1d(real, fake).item() == pytest.approx(5 / 3)


@pytest.mark.equation("wasserstein-distance", "wgan-dual", "wgan-tight")
@pytest.mark.parametrize("seed", [0, 1])
def test_in_the_plane_the_best_prices_earn_the_cheapest_plan_and_rise_by_the_full_way_between_its_pairs(seed):
    # Two linear programs that know nothing of each other: one over plans, the other over prices at all 15 places.
    real, fake = draw(7, 2, seed=27 + seed).numpy(), 1 + draw(8, 2, seed=37 + seed).numpy()
    p, q = np.full(7, 1 / 7), np.full(8, 1 / 8)
    plan, cost = cheapest_plan(spatial.distance.cdist(real, fake), p, q)
    places = np.concatenate([real, fake])
    pairs = list(itertools.permutations(range(15), 2))
    differences = np.array([np.eye(15)[i] - np.eye(15)[j] for i, j in pairs])
    found = optimize.linprog(
        np.concatenate([-p, q]),
        A_ub=differences,
        b_ub=[np.linalg.norm(places[i] - places[j]) for i, j in pairs],
        A_eq=np.eye(1, 15),
        b_eq=[0],
        bounds=(None, None),
    )
    assert -found.fun == pytest.approx(cost)
    joined = np.argwhere(plan > 1e-9)
    assert len(joined) >= 8
    for i, j in joined:
        assert found.x[i] - found.x[7 + j] == pytest.approx(np.linalg.norm(real[i] - fake[j]), abs=1e-7)


@pytest.mark.equation("wgan-dual")
def test_the_dual_grows_with_the_gap_between_two_points_where_the_divergence_stays_at_log_2():
    for gap in (1.0, 2.5, 6.0):
        found = optimize.linprog([-1, 1], A_ub=[[1, -1], [-1, 1]], b_ub=[gap, gap], bounds=(-10, 10))
        assert -found.fun == pytest.approx(gap)
        assert metrics.wasserstein_1d(torch.zeros(3, 1), torch.full((3, 1), gap)).item() == pytest.approx(gap)


def test_the_optimum_holds_for_densities_as_well():
    # The integral over the line of two normal densities, by quadrature: V(D*) = 2 JSD - log 4 with no grid.
    def normal(x, mean):
        return math.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)

    def best(x):
        p, q = (torch.tensor([normal(x, mean)], dtype=torch.float64) for mean in (0, 1.5))
        return gan.optimal_discriminator(p, q).item()

    def integrand(x):
        return normal(x, 0) * math.log(best(x)) + normal(x, 1.5) * math.log1p(-best(x))

    def divergence(x):
        p, q = normal(x, 0), normal(x, 1.5)
        return (special.rel_entr(p, (p + q) / 2) + special.rel_entr(q, (p + q) / 2)) / 2

    value, _ = integrate.quad(integrand, -8, 9.5, epsabs=1e-9)
    jsd, _ = integrate.quad(divergence, -8, 9.5, epsabs=1e-9)
    assert value == pytest.approx(2 * jsd - math.log(4), abs=1e-7)


# --- walking through latent space -----------------------------------------------------------------------------------


def test_a_straight_walk_has_even_steps_and_both_ends():
    a, b = draw(5, seed=30), draw(5, seed=31)
    walk = gan.interpolate(a, b, 5, "linear")
    torch.testing.assert_close(walk[0], a)
    torch.testing.assert_close(walk[-1], b)
    torch.testing.assert_close(walk.diff(dim=0), ((b - a) / 4).expand(4, 5))


def test_a_spherical_walk_turns_evenly_in_the_plane_of_its_ends_and_changes_length_evenly():
    a, b = draw(16, seed=32), 2 * draw(16, seed=33)
    walk = gan.interpolate(a, b, 9).numpy()
    np.testing.assert_allclose(walk[[0, -1]], [a.numpy(), b.numpy()], atol=1e-12)
    lengths = np.linalg.norm(walk, axis=1)
    np.testing.assert_allclose(np.diff(lengths), (lengths[-1] - lengths[0]) / 8)
    turns = [math.acos(walk[i] @ walk[i + 1] / lengths[i] / lengths[i + 1]) for i in range(8)]
    np.testing.assert_allclose(turns, sum(turns) / 8, rtol=1e-6)
    assert sum(turns) == pytest.approx(math.acos(walk[0] @ walk[-1] / lengths[0] / lengths[-1]))
    assert np.linalg.matrix_rank(walk, tol=1e-9) == 2


@pytest.mark.parametrize("end", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0]])
def test_a_spherical_walk_between_parallel_codes_or_from_zero_is_straight(end):
    a, b = torch.tensor([1.0, 2.0]), torch.tensor(end)
    torch.testing.assert_close(gan.interpolate(a, b, 4), gan.interpolate(a, b, 4, "linear"))


def test_arithmetic_adds_and_subtracts_averages_of_different_numbers_of_codes():
    smiling, neutral, other = draw(3, 4, seed=34), draw(2, 4, seed=35), draw(5, 4, seed=36)
    want = np.mean(smiling.numpy(), 0) - np.mean(neutral.numpy(), 0) + np.mean(other.numpy(), 0)
    np.testing.assert_allclose(gan.vector_arithmetic(smiling, neutral, other).numpy(), want)


def test_nearest_neighbours_agree_with_a_tree():
    fake, real = draw(8, 1, 3, 3, seed=37), draw(40, 1, 3, 3, seed=38)
    want = spatial.KDTree(real.flatten(1).numpy()).query(fake.flatten(1).numpy())[1]
    assert gan.nearest_neighbours(fake, real).tolist() == want.tolist()
    assert gan.nearest_neighbours(real[5:7], real).tolist() == [5, 6]


# --- networks -------------------------------------------------------------------------------------------------------

CODES = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
DIGITS = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def kinds(network):
    return [type(module).__name__ for module in network]


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("off", [None, *nets.Guidelines.__dataclass_fields__])
def test_the_pair_has_its_shapes_with_each_guideline_off(off, spectral_norm):
    rules = nets.Guidelines(**({off: False} if off else {}))
    generator = nets.dcgan_generator(width=8, guidelines=rules)
    discriminator = nets.dcgan_discriminator(width=8, guidelines=rules, spectral_norm=spectral_norm)
    assert generator(CODES).shape == (4, 1, 8, 8)
    assert discriminator(DIGITS).shape == (4,)
    assert (generator(100 * CODES).abs().max() <= 1) == rules.relu_tanh
    larger = (
        nets.dcgan_generator(width=8, guidelines=rules, side=28),
        nets.dcgan_discriminator(8, rules, spectral_norm, side=28),
    )
    assert larger[0](CODES).shape == (4, 1, 28, 28)
    assert larger[1](larger[0](CODES)).shape == (4,)


@pytest.mark.parametrize(
    ("off", "of_generator", "of_discriminator"),
    [
        ("strided", {"ConvTranspose2d": -2, "Upsample": 2, "Conv2d": 2}, {"AvgPool2d": 2}),
        ("batch_norm", {"BatchNorm2d": -2}, {"BatchNorm2d": -1}),
        ("no_hidden_linear", {"Linear": 1, "ReLU": 1}, {"Linear": 1, "LeakyReLU": 1}),
        ("relu_tanh", {"ReLU": -2, "LeakyReLU": 2, "Tanh": -1}, {}),
        ("leaky_relu", {}, {"LeakyReLU": -2, "ReLU": 2}),
    ],
)
def test_a_switch_changes_the_layers_that_its_guideline_speaks_of_and_no_others(off, of_generator, of_discriminator):
    rules = nets.Guidelines(**{off: False})
    for make, want in ((nets.dcgan_generator, of_generator), (nets.dcgan_discriminator, of_discriminator)):
        before, after = kinds(make(width=8)), kinds(make(width=8, guidelines=rules))
        changes = {name: after.count(name) - before.count(name) for name in {*before, *after}}
        assert {name: change for name, change in changes.items() if change} == want
    if off == "strided":
        network = nets.dcgan_discriminator(guidelines=rules)
        assert [module.stride for module in network if isinstance(module, torch.nn.Conv2d)] == [(1, 1), (1, 1)]


def test_the_guidelines_as_such_leave_out_what_radford_et_al_leave_out():
    generator, discriminator = kinds(nets.dcgan_generator()), kinds(nets.dcgan_discriminator())
    assert generator[-2:] == ["ConvTranspose2d", "Tanh"]  # no batch norm on the output
    assert discriminator[:2] == ["Conv2d", "LeakyReLU"]  # nor on the input's layer
    assert not {"AvgPool2d", "MaxPool2d", "Upsample"} & {*generator, *discriminator}


@pytest.mark.parametrize(
    "make",
    [lambda sn: nets.mlp_discriminator(64, 32, spectral_norm=sn), lambda sn: nets.dcgan_discriminator(8, None, sn)],
)
def test_spectral_norm_bounds_the_singular_values_and_drops_batch_norm(make):
    network = make(True)
    x = DIGITS if isinstance(network[0], torch.nn.Conv2d) else DIGITS.flatten(1)
    with torch.no_grad():
        for _ in range(100):  # each pass in training mode refines the estimate of the largest singular value
            network(x)
    weights = [module.weight.flatten(1) for module in network if hasattr(module, "weight")]
    assert len(weights) == 3
    for weight in weights:
        assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network)
    assert not any("parametrizations" in name for name, _ in make(False).named_parameters())


def test_spectral_norm_bounds_the_slope_of_the_whole_network():
    network = nets.mlp_discriminator(2, 32, spectral_norm=True).double()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("original"):
                weight.mul_(50)
        for _ in range(50):
            network(draw(2, 2))
    network.eval()
    x, y = draw(500, 2, seed=40), draw(500, 2, seed=41)
    slopes = (network(x) - network(y)).abs() / (x - y).norm(dim=1)
    assert 0 < slopes.max() <= 1 + 1e-3


@pytest.mark.equation("spectral-norm-bound")
def test_the_product_of_the_largest_singular_values_bounds_the_slope_and_is_reached_when_they_line_up():
    network = nets.mlp_discriminator(3, 16, seed=4).double()
    layers = [module for module in network if isinstance(module, torch.nn.Linear)]

    def bound():
        return math.prod(np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0] for layer in layers)

    def slopes(x, y):
        return ((network(x) - network(y)).abs() / (x - y).norm(dim=1)).detach()

    x, y = draw(500, 3, seed=42), draw(500, 3, seed=43)
    assert 0 < slopes(x, y).max() <= bound()
    direction = torch.nn.functional.normalize(draw(3, seed=44), dim=0)
    with torch.no_grad():  # each layer passes on one direction, on the side where its activation has the slope 1
        layers[0].weight.copy_(torch.outer(torch.ones(16), direction))
        layers[1].weight.fill_(0.5)
        layers[2].weight.fill_(2.0)
        for layer in layers:
            layer.bias.fill_(100.0)
    at = draw(1, 3, seed=45)
    assert slopes(at, at + direction).item() == pytest.approx(bound())


def test_the_plane_pair_has_its_shapes_and_weights_are_a_function_of_the_seed():
    generator, discriminator = nets.mlp_generator(3, 16, 5), nets.mlp_discriminator(5, 16)
    assert generator(torch.zeros(7, 3)).shape == (7, 5)
    assert discriminator(torch.zeros(7, 5)).shape == (7,)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    for make in (nets.mlp_generator, nets.mlp_discriminator, nets.dcgan_generator, nets.dcgan_discriminator):
        a, b, c = (torch.nn.utils.parameters_to_vector(make(seed=seed).parameters()) for seed in (1, 1, 2))
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


# --- errors ---------------------------------------------------------------------------------------------------------

HALF = torch.full((2,), 0.5)
KINDS_LISTED = "'minimax', 'non_saturating', 'least_squares', 'wasserstein', 'hinge'"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gan.discriminator_loss(REAL, FAKE, "relativistic"), f"kind must be one of {KINDS_LISTED}"),
        (lambda: gan.generator_loss(FAKE, "saturating"), "kind must be one of .*, got 'saturating'"),
        (lambda: nets.dcgan_generator(side=30), "side must be a positive multiple of 4, got 30"),
        (lambda: nets.dcgan_discriminator(side=0), "side must be a positive multiple of 4, got 0"),
        (lambda: gan.generator_slope(HALF, "hinge"), "kind must be one of 'minimax', 'non_saturating', got 'hinge'"),
        (lambda: gan.value(REAL[:0], FAKE), r"real_logits must hold at least one logit, got shape \(0,\)"),
        (
            lambda: gan.value(REAL, FAKE.long()),
            "fake_logits must be a floating-point tensor of logits, got torch.int64",
        ),
        (lambda: gan.generator_loss(0.5), "fake_logits must be a floating-point tensor of logits, got float"),
        (
            lambda: gan.gradient_penalty(sum, DIGITS, DIGITS[:2], HALF),
            r"fake must have the shape of real, \(4, 1, 8, 8\)",
        ),
        (lambda: gan.gradient_penalty(sum, DIGITS, DIGITS, HALF), r"u must have shape \(4,\), .* got \(2,\)"),
        (
            lambda: gan.gradient_penalty(sum, DIGITS[:2], DIGITS[:2], 3 * HALF),
            r"u must lie in \[0, 1\], got \[1.5, 1.5\]",
        ),
        (lambda: gan.optimal_discriminator(P, Q[:3]), r"p_gen must have the shape of p_data, \(9,\), got \(3,\)"),
        (lambda: gan.optimal_discriminator(P, -Q), "p_gen must not be negative, got -"),
        (lambda: gan.tabular_value(P, 2 * P, Q), "p_data must be probabilities that sum to 1, got the sum 2"),
        (lambda: gan.tabular_value(P[:2], P, Q), r"d must have the shape of p_data, \(9,\), got \(2,\)"),
        (lambda: gan.tabular_value(P + 1, P, Q), r"d must lie in \[0, 1\], got"),
        (lambda: gan.jensen_shannon(P, Q[:4] / Q[:4].sum()), r"q must have the shape of p, \(9,\), got \(4,\)"),
        (lambda: gan.jensen_shannon(P, Q - 0.2), "q must be probabilities"),
        (lambda: gan.generator_slope(3 * HALF, "minimax"), r"d must lie in \[0, 1\], got \[1.5, 1.5\]"),
        (lambda: gan.interpolate(HALF, HALF, 1), "steps must be at least 2, got 1"),
        (lambda: gan.interpolate(HALF, P, 3), r"z_from and z_to must be \(D,\) alike, got \(2,\) and \(9,\)"),
        (lambda: gan.interpolate(HALF, HALF, 3, "cubic"), "kind must be one of 'linear', 'spherical', got 'cubic'"),
        (lambda: gan.vector_arithmetic(CODES, CODES[:0], CODES), r"minus must be codes \(N, 32\), .* got \(0, 32\)"),
        (lambda: gan.vector_arithmetic(CODES, CODES, CODES[0]), r"plus_too must be codes \(N, 32\), .* got \(32,\)"),
        (lambda: gan.nearest_neighbours(DIGITS, CODES), r"fake must hold examples like real, \(32,\), got \(1, 8, 8\)"),
        (lambda: gan.nearest_neighbours(DIGITS, DIGITS[:0]), "real must hold at least one example"),
    ],
)
def test_bad_input_raises_an_error_that_names_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()

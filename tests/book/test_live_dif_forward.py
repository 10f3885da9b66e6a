"""The live figures of the forward process and of the schedules, played in a browser.

They are held against `genmodels`, quadrature, and the generic conditioning of a whole chain's joint distribution.
"""

import math

import numpy as np
import pytest
import torch

from genmodels import data, diffusion
from genmodels.diffusion_exact import GaussianMixture
from tests.book.test_derivation import LIVE, live_book
from tests.book.test_ledger import build
from tests.book.test_live import centre, drag, opened, tool, touch
from tests.book.test_live_gan_game import number, put

RIVALS = "book/3-diffusion/rivals"
SCHEDULES = "book/3-diffusion/forward"
T = 20
COSINE = diffusion.cosine_schedule(T)
MIXTURE = GaussianMixture(
    torch.tensor([0.3, 0.7], dtype=torch.float64),
    torch.tensor([[-1.0], [1.0]], dtype=torch.float64),
    torch.full((2, 1, 1), 0.04, dtype=torch.float64),
)


def told(page) -> dict[str, str]:
    """What is printed, once the drawing has caught up with what was done."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return dict(
        page.eval_on_selector_all(
            ".gm-live-ui output", "outputs => outputs.map(o => [o.dataset.out, o.textContent.replace(' %', '')])"
        )
    )


def test_what_the_figures_of_a_part_share_is_loaded_before_them_and_only_where_they_are(tmp_path):
    book = live_book(tmp_path, LIVE.replace("{live} thing", "{live} set-thing"))
    for name in ("common", "set", "set-thing-weights", "set-thing", "thing-weights"):
        (book / "assets" / "js" / "live" / f"{name}.js").write_text("// code\n")
    status, output, html = build(book)
    assert status == 0, output
    page = (html / "index.html").read_text()
    places = [page.index(f"live/{name}.js") for name in ("common", "set", "set-thing-weights", "set-thing")]
    assert places == sorted(places)
    assert "live/thing" not in page
    assert "js/live/" not in (html / "ledger.html").read_text()


# ------------------------------------------------------------------ the forward process and the four answers


@pytest.fixture
def walk(reader):
    return opened(reader(), RIVALS)


def chain(t: int, xt: float, x0: float) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of x_1 to x_{t-1} given both ends, by conditioning the joint distribution of the chain."""
    steps = np.zeros((t, t))  # x_1 to x_t as sums of the steps' noises
    means = np.empty(t)
    row, mean = np.zeros(t), x0
    for s in range(1, t + 1):
        alpha = COSINE.alpha[s].item()
        row, mean = math.sqrt(alpha) * row, math.sqrt(alpha) * mean
        row[s - 1] = math.sqrt(1 - alpha)
        steps[s - 1], means[s - 1] = row, mean
    covariance = steps @ steps.T
    gain = covariance[:-1, -1] / covariance[-1, -1]
    return means[:-1] + gain * (xt - means[-1]), covariance.diagonal()[:-1] - gain * covariance[-1, :-1]


GRID = torch.linspace(-8, 8, 160_001, dtype=torch.float64)  # so fine that a sum over it errs below 1e-9


def normal(x, mean, var):
    return torch.exp(-((x - mean) ** 2) / (2 * var)) / math.sqrt(2 * math.pi * var)


def over_grid(density) -> dict[str, float]:
    p = density / density.sum()
    mean = (p @ GRID).item()
    return {"mean": mean, "sd": math.sqrt((p @ (GRID - mean) ** 2).item())}


def expected(t: int, xt: float, x0: float) -> dict[str, dict[str, float]]:
    """The moments of all four: sums over a grid for those of the mixture, the library and the chain for the others."""
    if t == 1:
        marginal = MIXTURE.log_prob(GRID[:, None]).exp()
        image = {"mean": x0, "sd": 0.0}
    else:
        marginal = MIXTURE.log_marginal(GRID[:, None], torch.full((len(GRID),), t - 1), COSINE).exp()
        start = torch.tensor([[x0]], dtype=torch.float64)
        mean, var = diffusion.q_mean_var(start, torch.tensor([t - 1]), COSINE)
        image = {"mean": mean.item(), "sd": var.sqrt().item()}
    alpha = COSINE.alpha[t].item()
    likelihood = normal(xt, math.sqrt(alpha) * GRID, 1 - alpha)  # Bayes' rule, point by point
    means, variances = chain(t, xt, x0)
    posterior = {"mean": means[-1], "sd": math.sqrt(variances[-1])} if t > 1 else image
    return {
        "alone": over_grid(marginal),
        "image": image,
        "step": over_grid(marginal * likelihood),
        "posterior": posterior,
    }


WALKS = [{"t": t, "xt": xt, "x0": x0} for t in (1, 2, 7, 14, 19, 20) for xt in (-3, -0.1, 1.7) for x0 in (-2, 0.3, 1)]
TERMS = "walks => walks.map(genmodelsLive['dif-forward'].terms)"


@pytest.mark.equation("dif-forward-closed-form", "dif-reverse-bayes")
def test_the_four_answers_agree_with_quadrature_and_a_conditioned_chain(walk):
    for place, found in zip(WALKS, walk.evaluate(TERMS, WALKS), strict=True):
        for name, moments in expected(**place).items():
            assert found[name] == pytest.approx(moments, abs=1e-6), (name, place)
        assert found["beta"] == pytest.approx(COSINE.beta[place["t"]].item(), abs=1e-12)
        assert found["alphaBar"] == pytest.approx(COSINE.alpha_bar[place["t"]].item(), abs=1e-12)


@pytest.mark.equation("dif-posterior-mean", "dif-posterior-variance")
def test_the_answers_agree_with_the_library(walk):
    """The figure applies Bayes' rule; the library the formulas for the posterior."""
    x0, xt = (torch.tensor([[place[name]] for place in WALKS], dtype=torch.float64) for name in ("x0", "xt"))
    t = torch.tensor([place["t"] for place in WALKS])
    mean, var = diffusion.q_posterior(x0, xt, t, COSINE)
    step_mean, step_var = MIXTURE.reverse_step(xt, t, COSINE).mean_var()
    right = MIXTURE.responsibilities(xt, t, COSINE)[:, 1]
    for i, found in enumerate(walk.evaluate(TERMS, WALKS)):
        assert found["posterior"] == pytest.approx({"mean": mean[i].item(), "sd": var[i].sqrt().item()}, abs=1e-9)
        assert found["step"] == pytest.approx({"mean": step_mean[i].item(), "sd": step_var[i].sqrt().item()}, abs=1e-9)
        assert found["right"] == pytest.approx(right[i].item(), abs=1e-9)


@pytest.mark.equation("dif-reverse-mixture")
def test_the_posteriors_averaged_over_what_x0_may_be_are_the_true_step(walk):
    """By the law of total variance, with the probabilities of x_0 given x_t from Bayes' rule on a grid."""
    grid = torch.linspace(-4, 4, 1601, dtype=torch.float64)
    for t, xt in ((2, 0.8), (7, -0.1), (14, 1.5)):
        alpha_bar = COSINE.alpha_bar[t].item()
        weight = MIXTURE.log_prob(grid[:, None]).exp() * normal(xt, math.sqrt(alpha_bar) * grid, 1 - alpha_bar)
        weight = weight.numpy() / weight.sum().item()
        found = walk.evaluate(TERMS, [{"t": t, "xt": xt, "x0": x0} for x0 in grid.tolist()])
        means, sds = (np.array([here["posterior"][name] for here in found]) for name in ("mean", "sd"))
        mean = weight @ means
        assert found[0]["step"]["mean"] == pytest.approx(mean, abs=1e-8)
        assert found[0]["step"]["sd"] == pytest.approx(math.sqrt(weight @ (sds**2 + (means - mean) ** 2)), abs=1e-8)


@pytest.mark.equation("dif-gaussian-conditioning", "dif-forward-jump")
def test_the_band_is_the_chain_between_its_ends(walk):
    places = [place for place in WALKS if place["t"] > 1]
    found = walk.evaluate("walks => walks.map(genmodelsLive['dif-forward'].between)", places)
    for place, band in zip(places, found, strict=True):
        means, variances = chain(**place)
        assert [part["mean"] for part in band[1:-1]] == pytest.approx(list(means), abs=1e-9)
        assert [part["variance"] for part in band[1:-1]] == pytest.approx(list(variances), abs=1e-9)
        ends = [(part["mean"], part["variance"]) for part in (band[0], band[-1])]
        assert ends == [pytest.approx((place["x0"], 0), abs=1e-12), pytest.approx((place["xt"], 0), abs=1e-12)]


def test_the_drawn_densities_are_those_of_the_library(walk):
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    for s in (1, 6, 20):
        drawn = walk.evaluate(
            "([xs, s]) => { const live = genmodelsLive['dif-forward'];"
            " return xs.map(x => live.density(live.noised(live.DATA, s), x)); }",
            [x.tolist(), s],
        )
        density = MIXTURE.log_marginal(x[:, None], torch.full((61,), s), COSINE).exp()
        np.testing.assert_allclose(drawn, density.numpy(), atol=1e-9)


def prints_what_is_true(page) -> dict[str, float]:
    found = {name: number(text) for name, text in told(page).items()}
    state = {name: found[name] for name in ("xt", "x0")}
    # A drag holds x finer than it is printed: no mean moves faster than x_t or x_0.
    for name, moments in expected(int(found["t"]), **state).items():
        assert found[f"{name}Mean"] == pytest.approx(moments["mean"], abs=0.012), name
        assert found[f"{name}Sd"] == pytest.approx(moments["sd"], abs=0.006), name
    return found


def test_walk_sliders_move_the_numbers_by_keyboard(walk):
    before = prints_what_is_true(walk)
    assert (before["t"], before["xt"], before["x0"]) == (7, -0.1, 1)
    assert (before["posteriorMean"], before["posteriorSd"]) == (0.197, 0.255)
    for name, key in (("t", "ArrowRight"), ("xt", "ArrowLeft"), ("x0", "Home"), ("t", "End"), ("xt", "End")):
        walk.locator(f".gm-live-ui input[name={name}]").press(key)
        after = prints_what_is_true(walk)
        assert after[name] != before[name]
        before = after
    assert (before["t"], before["xt"], before["x0"]) == (20, 3, -2)


def test_what_each_answer_knows_moves_it_and_nothing_else_does(walk):
    """The first moves with neither end, the second with x_0 alone, the third with x_t alone, the last with both."""
    moving = {"x0": {"image", "posterior"}, "xt": {"step", "posterior"}}
    for name, key in (("x0", "PageDown"), ("xt", "PageUp")):
        before = told(walk)
        walk.locator(f".gm-live-ui input[name={name}]").press(key)
        after = told(walk)
        moved = {
            kind for kind in ("alone", "image", "step", "posterior") if after[f"{kind}Mean"] != before[f"{kind}Mean"]
        }
        assert moved == moving[name]
    walk.locator(".gm-live-ui input[name=t]").press("ArrowRight")
    assert told(walk)["aloneMean"] != after["aloneMean"]


def test_walk_handles_move_by_keyboard_and_stop_at_their_limits(walk):
    end, start = (walk.locator(f"[data-handle={name}]") for name in ("end", "x0"))
    end.press("ArrowRight")
    assert prints_what_is_true(walk)["xt"] == -0.05
    end.press("ArrowDown")
    found = prints_what_is_true(walk)
    assert (found["t"], found["xt"]) == (8, -0.05)
    assert end.get_attribute("aria-valuetext") == "x t −0.05 at t 8"
    for _ in range(5):
        end.press("PageUp")
    end.press("ArrowUp")
    assert prints_what_is_true(walk)["t"] == 1
    end.press("Home")
    end.press("ArrowLeft")
    assert prints_what_is_true(walk)["xt"] == -3
    start.press("End")
    start.press("ArrowRight")
    found = prints_what_is_true(walk)
    assert (found["t"], found["x0"]) == (1, 2)
    assert start.get_attribute("aria-valuenow") == "2"


def test_one_step_from_the_data_whoever_knows_the_image_is_sure(walk):
    put(walk, t=1)
    found = prints_what_is_true(walk)
    assert (found["imageSd"], found["posteriorSd"]) == (0, 0)
    assert found["stepSd"] > 0.05
    for name, width in (("image", 0), ("posterior", 0)):
        box = walk.locator(f".gm-live-plot .gm-f-{name}").evaluate("path => path.getBBox()['width']")
        assert box == width


def test_the_end_of_the_walk_is_dragged_in_both_directions(walk):
    before = told(walk)
    unit = (walk.locator(".gm-live-plot svg").bounding_box()["width"] - 40) / 6.4
    drag(walk, centre(walk, "end"), (-0.6 * unit, 41))
    after = prints_what_is_true(walk)
    assert after["xt"] == pytest.approx(-0.7, abs=0.03)
    assert after["t"] == 11
    assert after["x0"] == float(before["x0"])
    assert walk.evaluate("document.activeElement.dataset.handle") == "end"
    dot = walk.locator(".gm-live-plot .gm-f-dot").get_attribute("cx")
    assert float(dot) == pytest.approx(34 + (after["posteriorMean"] + 3.2) * unit, abs=0.01 * unit)
    drag(walk, centre(walk, "end"), (3000, -3000))
    found = prints_what_is_true(walk)
    assert (found["t"], found["xt"]) == (1, 3)


def test_the_nearer_end_is_taken_from_anywhere_by_the_mouse(walk):
    unit = (walk.locator(".gm-live-plot svg").bounding_box()["width"] - 40) / 6.4
    x, y = centre(walk, "x0")
    drag(walk, (x + 60, y - 30), (-unit, 25))
    after = prints_what_is_true(walk)
    assert after["x0"] == pytest.approx(0, abs=0.03)
    assert (after["t"], after["xt"]) == (7, -0.1)
    x, y = centre(walk, "end")
    drag(walk, (x - 40, y + 200), (unit / 2, 0))
    found = prints_what_is_true(walk)
    assert found["xt"] == pytest.approx(0.4, abs=0.03)
    assert (found["t"], found["x0"]) == (7, after["x0"])


def test_a_finger_moves_the_handle_that_it_touches_and_elsewhere_scrolls(reader):
    window = reader(width=390, height=844)
    page = opened(window, RIVALS)
    page.locator(".gm-live-plot").evaluate("plot => window.scrollBy(0, plot.getBoundingClientRect().top - 120)")
    scrolled = page.evaluate("scrollY")
    touch(window, centre(page, "end"), (-40, 37))
    after = prints_what_is_true(page)
    assert after["t"] == 11
    assert after["xt"] < -0.5
    touch(window, centre(page, "x0"), (-60, 0))
    after = prints_what_is_true(page)
    assert after["x0"] < 0
    assert page.evaluate("scrollY") == scrolled
    x, y = centre(page, "end")
    touch(window, (x + 90, y + 120), (0, -150))
    page.wait_for_function("before => scrollY > before + 50", arg=scrolled)
    assert prints_what_is_true(page) == after
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_screen_reader_is_told_three_answers_at_rest(walk):
    walk.locator("[data-handle=x0]").press("ArrowLeft")
    walk.wait_for_function(
        "document.querySelector('.gm-live-ui [role=status]').textContent.includes('given x 0 alone')"
    )


def test_the_table_of_answers_has_heads_for_rows_and_columns(walk):
    rows = walk.locator(".gm-live-table tbody tr")
    assert [rows.nth(i).locator("th").text_content().split() for i in range(4)] == [
        ["q(xt−1)"],
        ["q(xt−1", "|", "x0)"],
        ["q(xt−1", "|", "xt)"],
        ["q(xt−1", "|", "xt,", "x0)"],
    ]
    assert walk.locator(".gm-live-table thead th[scope=col]").count() == 3


# ------------------------------------------------------------------ two schedules


@pytest.fixture
def schedules(reader):
    return opened(reader(), SCHEDULES)


SETTINGS = [{"T": T, "betaT": betaT} for T in (25, 100, 250, 1000) for betaT in (0.0005, 0.02, 0.2, 0.8)]


def tables(T: int, betaT: float) -> dict[str, diffusion.Schedule]:
    return {"linear": diffusion.linear_schedule(T, 1e-4, betaT), "cosine": diffusion.cosine_schedule(T)}


def ends_in_noise(schedule) -> bool:
    try:
        diffusion.require_noise_at_end(schedule)
    except ValueError:
        return False
    return True


@pytest.mark.equation(
    "dif-linear-schedule", "dif-cosine-schedule", "dif-posterior-variance", "dif-loss-weight", "dif-snr"
)
def test_the_tables_of_the_figure_are_those_of_the_library(schedules):
    found = schedules.evaluate("all => all.map(genmodelsLive['dif-schedules'].schedules)", SETTINGS)
    for setting, here in zip(SETTINGS, found, strict=True):
        for name, schedule in tables(**setting).items():
            assert here[name]["T"] == schedule.T
            columns = {
                "beta": schedule.beta,
                "alpha": schedule.alpha,
                "alphaBar": schedule.alpha_bar,
                "betaTilde": schedule.beta_tilde,
                "snr": schedule.snr,
                "weight": diffusion.loss_weight(schedule),
            }
            for column, table in columns.items():
                ours = np.array([math.inf if value is None else value for value in here[name][column]])
                np.testing.assert_allclose(ours, table.numpy(), rtol=1e-6, err_msg=f"{column} of {name}, {setting}")


@pytest.mark.equation("dif-weight-snr")
def test_the_weight_is_half_the_share_of_the_signal_that_the_step_destroys(schedules):
    for here in schedules.evaluate("all => all.map(genmodelsLive['dif-schedules'].schedules)", SETTINGS):
        for table in here.values():
            snr, weight = np.array(table["snr"][1:], dtype=float), np.array(table["weight"][1:])
            np.testing.assert_allclose(weight[1:], (snr[:-1] / snr[1:] - 1) / 2, rtol=1e-6)


def test_the_figure_warns_of_the_schedules_that_the_library_refuses(schedules):
    places = [{"u": 1, **setting} for setting in SETTINGS]
    found = schedules.evaluate("all => all.map(genmodelsLive['dif-schedules'].terms)", places)
    verdicts = set()
    for setting, here in zip(SETTINGS, found, strict=True):
        for name, schedule in tables(**setting).items():
            assert here[name]["good"] == ends_in_noise(schedule), (name, setting)
            verdicts.add((name, here[name]["good"]))
    assert verdicts == {("linear", True), ("linear", False), ("cosine", True)}


def test_the_digit_and_the_noise_are_those_of_the_library_and_the_still(schedules):
    image = 2 * data.digits("train").images[0].double().flatten() - 1
    assert schedules.evaluate("genmodelsLive['dif-schedules'].DIGIT") == pytest.approx(image.tolist(), abs=1e-7)
    assert schedules.evaluate("genmodelsLive['dif-schedules'].NOISE") == tool("stills").pixel_noise()


def significant(value: float) -> float:
    return float(f"{value:.2e}")


def compares_truly(page) -> dict[str, str]:
    """Every printed number against the library's schedules at what the sliders print, and the digits as drawn."""
    found = told(page)
    t, steps = (int(part) for part in found["step"].split(" of "))
    assert t == min(steps, max(1, math.floor(float(found["u"]) * steps + 0.5)))
    image = 2 * data.digits("train").images[:1].double() - 1
    eps = torch.tensor(tool("stills").pixel_noise(), dtype=torch.float64).reshape(1, 1, 8, 8)
    for name, schedule in tables(steps, float(found["betaT"])).items():
        truth = {
            "alphaBar": schedule.alpha_bar[t],
            "snr": schedule.snr[t],
            "weight": diffusion.loss_weight(schedule)[t],
            "alphaBarEnd": schedule.alpha_bar[-1],
            "snrEnd": schedule.snr[-1],
        }
        for column, value in truth.items():
            assert number(found[f"{name}-{column}"]) == pytest.approx(significant(value.item()), rel=0.002), column
        assert number(found[f"beta{name.title()}"]) == pytest.approx(significant(schedule.beta[t].item()), rel=0.002)
        pixels = page.evaluate(
            """name => {
                const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
                copy.drawImage(document.querySelector(`canvas[data-image=${name}]`), 0, 0);
                return [...copy.getImageData(0, 0, 8, 8).data].filter((_, i) => i % 4 === 0);
            }""",
            name,
        )
        noisy = diffusion.q_sample(image, torch.tensor([t]), eps, schedule).flatten()
        np.testing.assert_allclose(pixels, (255 * (noisy + 1) / 2).clamp(0, 255), atol=1)
        if name == "linear":
            assert ("does not end in noise" in found["verdict"]) != ends_in_noise(schedule)
    return found


def test_schedule_sliders_move_the_numbers_by_keyboard(schedules):
    found = compares_truly(schedules)
    assert (found["step"], found["betaT"], found["linear-alphaBar"]) == ("300 of 1000", "0.0200", "0.396")
    assert found["linear-alphaBarEnd"] == "4.04 × 10⁻⁵"  # 4.035830e-05
    for name, key in (("u", "ArrowRight"), ("betaT", "ArrowLeft"), ("u", "End"), ("betaT", "Home"), ("u", "Home")):
        before = told(schedules)
        schedules.locator(f".gm-live-ui input[name={name}]").press(key)
        assert compares_truly(schedules)[name] != before[name]
    assert told(schedules)["step"] == "1 of 1000"
    assert "does not end in noise" in told(schedules)["verdict"]


def test_fewer_steps_leave_the_image_until_the_last_beta_grows(schedules):
    """The chapter's warning: 100 steps with the usual ends leave 36 % of the variance; the button mends it."""
    schedules.get_by_label("100", exact=True).check()
    found = compares_truly(schedules)
    assert (found["step"], found["linear-alphaBarEnd"]) == ("30 of 100", "0.364")
    assert "does not end in noise" in found["verdict"]
    assert "0.603" in found["verdict"]  # its root
    verdict = schedules.locator(".gm-s-verdict")
    weight = verdict.evaluate("p => getComputedStyle(p).fontWeight")
    schedules.get_by_role("button", name="Set βT to 20/T").click()
    schedules.wait_for_function("document.querySelector('[data-out=betaT]').textContent === '0.200'")
    found = compares_truly(schedules)
    assert "Both end in noise" in found["verdict"]
    assert verdict.evaluate("p => getComputedStyle(p).fontWeight") < weight
    for steps in (25, 250, 1000):
        schedules.get_by_label(str(steps), exact=True).check()
        schedules.get_by_role("button", name="Set βT to 20/T").click()
        schedules.wait_for_function(
            "beta => document.querySelector('[data-out=betaT]').textContent === beta", arg=f"{20 / steps:#.3g}"
        )
        assert "Both end in noise" in compares_truly(schedules)["verdict"]


def test_the_time_is_dragged_from_anywhere_and_the_marks_follow(schedules):
    width = schedules.locator(".gm-live-plot svg").bounding_box()["width"]
    x, y = centre(schedules, "u")
    drag(schedules, (x + 80, y + 150), (0.25 * (width - 50), 10))
    found = compares_truly(schedules)
    assert float(found["u"]) == pytest.approx(0.55, abs=0.01)
    moved, _ = centre(schedules, "u")
    assert moved - x == pytest.approx(0.25 * (width - 50), abs=2)
    marks = schedules.eval_on_selector_all(
        ".gm-live-plot circle[class^=gm-s-at]", "all => all.map(c => [c.getAttribute('cx'), c.getAttribute('cy')])"
    )
    assert len(marks) == 6
    assert len({cx for cx, _ in marks}) == 1
    # In the first panel: from 124, where the share is 0, up by 100 to 1.
    shares = [(124 - float(cy)) / 100 for _, cy in marks[:2]]
    assert shares == pytest.approx([float(found["linear-alphaBar"]), float(found["cosine-alphaBar"])], abs=0.002)
    # In the second, eleven powers of ten in 110.
    powers = [(274 - float(cy)) / 10 - 6 for _, cy in marks[2:4]]
    ratios = [number(found[f"{name}-snr"]) for name in ("linear", "cosine")]
    assert powers == pytest.approx([math.log10(ratio) for ratio in ratios], abs=0.02)
    drag(schedules, centre(schedules, "u"), (3000, 0))
    assert told(schedules)["step"] == "1000 of 1000"


def test_the_handle_of_the_time_moves_by_keyboard(schedules):
    handle = schedules.locator("[data-handle=u]")
    handle.press("ArrowLeft")
    assert compares_truly(schedules)["step"] == "250 of 1000"
    handle.press("PageUp")
    handle.press("End")
    assert compares_truly(schedules)["step"] == "1000 of 1000"
    handle.press("Home")
    assert compares_truly(schedules)["step"] == "1 of 1000"


def test_the_schedules_are_dragged_by_touch_on_a_phone_with_the_digits_below(reader):
    window = reader(width=390, height=844, theme="dark")
    page = opened(window, SCHEDULES)
    page.locator(".gm-live-plot").evaluate("plot => window.scrollBy(0, plot.getBoundingClientRect().top - 120)")
    touch(window, centre(page, "u"), (100, 0))
    assert float(compares_truly(page)["u"]) > 0.5
    plot, images = (page.locator(f".gm-live-ui {part}").bounding_box() for part in (".gm-live-plot", ".gm-w-images"))
    assert images["y"] >= plot["y"] + plot["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_screen_reader_is_told_both_schedules_at_rest(schedules):
    schedules.locator("[data-handle=u]").press("ArrowLeft")
    schedules.wait_for_function("document.querySelector('.gm-live-ui [role=status]').textContent.includes('Cosine')")
    labels = schedules.eval_on_selector_all("canvas[data-image]", "all => all.map(c => c.getAttribute('aria-label'))")
    assert labels == [f"The digit at t 250 of the {name} schedule" for name in ("linear", "cosine")]


# ------------------------------------------------------------------ both


@pytest.mark.parametrize("page", [RIVALS, SCHEDULES])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_drawn_or_written_beyond_the_figure_wherever_it_is_moved(reader, page, width):
    page = opened(reader(width=width), page)
    sliders = page.locator(".gm-live-ui input[type=range]").all()
    for corner in range(2 ** len(sliders)):
        for i, slider in enumerate(sliders):
            slider.press("End" if corner >> i & 1 else "Home")
        told(page)
        over = page.eval_on_selector_all(
            ".gm-live-ui .gm-live-plot text, .gm-live-ui .gm-handle-dot, .gm-live-ui .gm-live-plot circle[r='4']",
            """all => all.map(n => {
                const [box, room] = [n.getBoundingClientRect(), n.closest('svg').getBoundingClientRect()];
                return [n.textContent, room.left - box.left, box.right - room.right, room.top - box.top];
            }).filter(([, ...beyond]) => Math.max(...beyond) > 6)""",
        )
        assert not over, (corner, over)

"""Self-checks: the directive on small pages of its own, the book's questions, and their numbers, computed anew."""

import functools
import itertools
import math
import re
import shutil

import pytest
import torch
from bs4 import BeautifulSoup

from genmodels import diffusion, gan, metrics, unet, vae
from genmodels.autoregressive import PixelCNN, bits_per_dimension
from genmodels.diffusion import Schedule
from genmodels.gaussian import kl_normal
from tests.book.test_ledger import ROOT, build, small_book
from tests.plugins.ledger import book_ledger

KINDS = """
# A page

:::::{selfcheck} choice
:name: colour

Which *is* it, $x$ or `y`?

:::{wrong} The *letter* x
No: it is not.
:::
:::{right} The letter `y`
Yes.
:::
:::{wrong} $y$, a letter
No: that is a number.
:::
:::::

:::::{selfcheck} number
:name: third
:answer: -1/3
:tolerance: 0.01
:unit: nats

How much?

:::{wrong} 0.25
That is a quarter.
:::
:::{because}
Divide.
:::
:::::

:::::{selfcheck} order
:name: lines

Sort them.

:::{piece}
one
:::
:::{piece}
:after: 1
two
:::
:::{piece}
:after: 1
three
:::
:::{piece}
four
:::
:::{because}
By counting.
:::
:::::

::::::{selfcheck} table
:name: animals
:columns: Dog | Fly

Fill it.

:::::{row} Legs
:choices: 4 | 6

::::{cell} 4
Two pairs.
::::
::::{cell} 6
As the [ledger](ledger.md) says.
::::
:::::
::::::

```{selfcheck-overview}
```
"""


def made(tmp_path, page):
    small_book(tmp_path, page, tests="")
    with (tmp_path / "conf.py").open("a") as conf:
        conf.write('extensions.append("selfcheck")\n')
    return build(tmp_path)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    status, output, html = made(tmp_path_factory.mktemp("book"), KINDS)
    assert status == 0, output
    assert "js/selfcheck.js" in (html / "index.html").read_text()
    assert "js/selfcheck.js" not in (html / "ledger.html").read_text()
    return BeautifulSoup((html / "index.html").read_text(), "html.parser")


def test_every_kind_is_a_named_group_with_its_answer_in_a_fold(page):
    for name in ("colour", "third", "lines", "animals"):
        check = page.find(id=f"check-{name}")
        assert check["data-check"] == name
        group = check.fieldset
        assert "Check yourself" in group.legend.text
        assert page.find(id=group["aria-describedby"]).text.strip()
        assert group.find(class_="gm-check-verdict")["role"] == "status"
        assert check.details.summary.text == "Answer"
        assert not check.details.has_attr("open")
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_what_needs_javascript_is_not_shown_without(page):
    for tag in page.select("form.gm-check :is(input, button, select)"):
        assert tag.find_parent(class_="pst-js-only") or "pst-js-only" in tag["class"], tag


def test_a_choice_explains_each_option_by_its_letter(page):
    check = page.find(id="check-colour")
    assert check["data-right"] == "1"
    assert [label.get_text() for label in check.find_all("label")] == [
        "AThe letter x",
        "BThe letter y",
        r"C\(y\), a letter",
    ]
    texts = [why.get_text().strip() for why in check.find_all(class_="gm-check-why")]
    assert texts == ["A is wrong. No: it is not.", "B is right. Yes.", "C is wrong. No: that is a number."]


def test_a_number_shows_its_answer_and_explains_what_mistakes_give(page):
    check = page.find(id="check-third")
    assert float(check["data-answer"]) == pytest.approx(-1 / 3)
    assert (check["data-tolerance"], check["data-unit"]) == ("0.01", "nats")
    because, mistake = check.find_all(class_="gm-check-why")
    assert because.get_text().strip() == "−1/3 nats. Divide."
    assert mistake["data-of"] == "0.25"
    assert mistake.get_text().strip() == "If you found 0.25: That is a quarter."


def test_an_order_is_shown_wrong_and_says_what_may_change_places(page):
    pieces = page.find(id="check-lines").find_all("li")
    assert [piece["data-letter"] for piece in pieces] == list("ABCD")
    after = {piece["data-piece"]: piece["data-after"].split() for piece in pieces}
    assert after == {"1": [], "2": ["1"], "3": ["1"], "4": ["1", "2", "3"]}
    shown = [piece["data-piece"] for piece in pieces]
    assert any(need in shown[at:] for at, piece in enumerate(shown) for need in after[piece])
    letter = {piece["data-piece"]: piece["data-letter"] for piece in pieces}
    right = ", ".join(letter[number] for number in "1234")
    answer = page.find(id="check-lines").details.get_text()
    assert f"{right}. {letter['2']} and {letter['3']} may change places. By counting." in answer


def test_a_table_has_a_named_list_in_each_cell_and_a_reason_for_it(page):
    check = page.find(id="check-animals")
    cells = check.table.find_all("td", attrs={"data-cell": True})
    assert [(cell.select_one("select")["aria-label"], cell["data-right"]) for cell in cells] == [
        ("Legs: Dog", "4"),
        ("Legs: Fly", "6"),
    ]
    assert [option.text for option in cells[0].find_all("option")] == ["choose", "4", "6"]
    assert [why["data-of"] for why in check.find_all(class_="gm-check-why")] == [c["data-cell"] for c in cells]
    assert "Fly: 6. As the ledger says." in check.details.get_text()


def test_a_change_of_the_extension_reaches_pages_that_have_not_changed(tmp_path):
    """Sphinx reads a page anew when its source has changed, and not when what it is read with has."""
    extensions = shutil.copytree(ROOT / "book" / "_ext", tmp_path / "extensions")
    book = tmp_path / "book"
    book.mkdir()
    small_book(book, KINDS, tests="")
    conf = (book / "conf.py").read_text().replace(str(ROOT / "book" / "_ext"), str(extensions))
    (book / "conf.py").write_text(conf + 'extensions += ["selfcheck", "reread"]\n')
    status, output, html = build(book)
    assert status == 0, output
    before = (html / "index.html").read_text()
    changed = extensions / "selfcheck.py"
    changed.write_text(changed.read_text().replace("Check yourself", "Ask yourself"))
    status, output, html = build(book)
    assert status == 0, output
    assert "Ask yourself" not in before
    assert (html / "index.html").read_text().count("Ask yourself") == before.count("Check yourself") > 0
    assert "0 added, 0 changed, 0 removed" in build(book)[1]  # and once is enough


def test_the_overview_lists_the_questions_of_each_page(page):
    (line,) = page.find(id="check-overview").find_all("li")
    assert line["data-checks"].split() == ["colour", "third", "lines", "animals"]
    assert line.get_text(" ", strip=True) == "A page 4 questions"


def asked(kind, options="", parts="", question="Q?"):
    return f":::::{{selfcheck}} {kind}\n{options}\n{question}\n\n{parts}\n:::::\n\n"


def piece(text, options=""):
    return f":::{{piece}}\n{options}{text}\n:::\n"


TWO = ":::{right} a\nb\n:::\n:::{wrong} c\nd\n:::\n"
BECAUSE = ":::{because}\nb\n:::\n"


CELLS = "::::{cell} 4\nb\n::::\n::::{cell} 6\nb\n::::\n"
ROW = f":::::{{row}} Legs\n:choices: 4 | 6\n\n{CELLS}:::::\n"
TABLE = f"::::::{{selfcheck}} table\n:name: NAME\n:columns: Dog | Fly\n\nQ?\n\n{ROW}::::::\n"
# A page each; NAME becomes the page's own.
NONSENSE = [
    (asked("guess", ":name: NAME\n", TWO), "is one of choice, number, order, table, not 'guess'"),
    (asked("choice", "", TWO), "needs a :name: in lower-case letters, digits and hyphens, not ''"),
    (asked("choice", ":name: A b\n", TWO), "needs a :name: in lower-case letters, digits and hyphens, not 'A b'"),
    (2 * asked("choice", ":name: NAME\n", TWO), "two selfchecks have the name 'NAME'"),
    (asked("choice", ":name: everywhere\n", TWO), "two selfchecks have the name 'everywhere'"),
    (asked("choice", ":name: NAME\n:unit: m\n", TWO), ":unit: belongs to a number, and 'NAME' is a choice"),
    (asked("choice", ":name: NAME\n", TWO.replace("right", "wrong")), "needs one {right}"),
    (asked("choice", ":name: NAME\n", TWO.replace("wrong", "right")), "needs one {right}"),
    (asked("choice", ":name: NAME\n", ":::{wrong} a\n:::\n" + TWO), "Content block expected"),
    (asked("choice", ":name: NAME\n", TWO, ""), "begins with its question"),
    (asked("choice", ":name: NAME\n", TWO + "More.\n"), "has only parts"),
    (asked("choice", ":name: NAME\n", TWO + BECAUSE), "stands inside a selfcheck of the kind number or order"),
    (TWO, "{right} stands inside a selfcheck of the kind choice"),
    (asked("number", ":name: NAME\n:tolerance: 1\n", BECAUSE), "needs an :answer:"),
    (asked("number", ":name: NAME\n:answer: 1\n", BECAUSE), "needs a :tolerance:"),
    (asked("number", ":name: NAME\n:answer: one\n:tolerance: 1\n", BECAUSE), "'one' is no number"),
    (asked("number", ":name: NAME\n:answer: 1\n:tolerance: 0\n", BECAUSE), "needs a :tolerance: above zero"),
    (asked("number", ":name: NAME\n:answer: 1\n:tolerance: 1\n"), "needs one {because}"),
    (
        asked("number", ":name: NAME\n:answer: 1\n:tolerance: 1\n", ":::{wrong} 1.5\nb\n:::\n" + BECAUSE),
        "takes 1.5 for wrong, and its tolerance for right",
    ),
    (asked("order", ":name: NAME\n", piece("1") + piece("2") + BECAUSE), "needs three or more {piece}"),
    (asked("order", ":name: NAME\n", piece("1") + piece("2") + piece("3")), "and one {because}"),
    (
        asked("order", ":name: NAME\n", piece("1") + piece("2", ":after: 3\n") + piece("3") + BECAUSE),
        ":after: of piece 2 names pieces above it by their numbers, not 3",
    ),
    (
        asked("order", ":name: NAME\n", "".join(piece(f"{i}", ":after:\n") for i in range(3)) + BECAUSE),
        "any order of the pieces of 'NAME' would be right",
    ),
    (TABLE.replace(":columns: Dog | Fly\n", ""), "needs two :columns:"),
    (TABLE.replace("4 | 6", "4"), "needs two :choices:"),
    (TABLE.replace("{cell} 6", "{cell} 8"), "'8' is none of the :choices: of the row 'Legs'"),
    (TABLE.replace("::::{cell} 4\nb\n::::\n", ""), "needs a {cell} for each of: Dog, Fly"),
]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What the build says of a book in which each page has one thing wrong."""
    folder = small_book(tmp_path_factory.mktemp("wrong"), asked("choice", ":name: everywhere\n", TWO), tests="")
    with (folder / "conf.py").open("a") as conf:
        conf.write('extensions.append("selfcheck")\n')
    for number, (source, _) in enumerate(NONSENSE):
        (folder / f"page-{number}.md").write_text("# A page\n\n" + source.replace("NAME", f"name-{number}"))
    pages = ", ".join(f"{{file: page-{number}}}" for number in range(len(NONSENSE)))
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters: [{{file: ledger}}, {pages}]\n")
    status, output, _ = build(folder)
    assert status != 0
    return output


@pytest.mark.parametrize("number", range(len(NONSENSE)), ids=[message for _, message in NONSENSE])
def test_a_question_that_makes_no_sense_fails_the_build_and_says_why(complaints, number):
    message = NONSENSE[number][1].replace("NAME", f"name-{number}")
    assert re.search(rf"page-{number}\.md:\d+: (?:WARNING|ERROR): .*{re.escape(message)}", complaints)


def test_a_question_that_makes_sense_is_not_complained_of(complaints):
    assert "index.md" not in complaints


# ------------------------------------------------------------------ the questions of the book


def questions():
    """Every selfcheck of the book as it is written: (page, kind, name, source)."""
    for path in book_ledger(ROOT).pages(ROOT):
        text = path.read_text(encoding="utf-8")
        page = path.relative_to(ROOT).with_suffix("").as_posix()
        for found in re.finditer(r"^(:{4,})\{selfcheck\} (\w+)\n(.*?)^\1$", text, re.DOTALL | re.MULTILINE):
            yield page, found[2], re.search(r"^:name: (\S+)$", found[3], re.MULTILINE)[1], found[3]


QUESTIONS = list(questions())
CHAPTERS = [page for page in book_ledger(ROOT).pages(ROOT) if re.match(r"[0-3]-", page.parent.name)]
f64 = functools.partial(torch.tensor, dtype=torch.float64)
NAT = 1 / math.log(2)  # in bits


def kl(mu_q, var_q, mu_p=0.0, var_p=1.0):
    """Between two Gaussians in one dimension, in nats."""
    return kl_normal(*(f64([[value]]) for value in (mu_q, math.log(var_q), mu_p, math.log(var_p)))).item()


def discrete_kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a)


def entropy(p):
    return -sum(a * math.log(a) for a in p if a)


def steps(*alpha_bar):
    """The schedule that passes through these."""
    bars = (1.0, *alpha_bar)
    return Schedule(f64([0, *(1 - now / before for before, now in itertools.pairwise(bars))]))


def numbers_of_map_fair_model():
    p, q = (3 / 4, 1 / 4), (1 / 2, 1 / 2)
    model = -sum(a * math.log(b) for a, b in zip(p, q, strict=True))
    return model - entropy(p), model, entropy(p), discrete_kl(q, p)


def numbers_of_ar_bits():
    return bits_per_dimension(f64([-20.0]), 64).item(), 20 / 64, 20 * NAT, 20 / 64 / NAT


def numbers_of_ar_runs():
    model, runs = PixelCNN(data_shape=(1, 16, 16), channels=1, layers=1), []
    model.first.register_forward_hook(lambda *_: runs.append(1))
    model.sample(100, torch.Generator().manual_seed(0))
    return len(runs), 100 * len(runs), 2 * 16 - 1, 1


def numbers_of_likelihood_codes():
    # A term that is 3 once in three times and otherwise 0 has the mean 1 and the variance 2. Five of them, multiplied:
    rho = 3**2 / 3 - 1
    mean_square = (3**5) ** 2 * (1 / 3) ** 5
    return 100 * (mean_square - 1), 5 * 100 * rho, 100 * mean_square, 100 * rho**5


def numbers_of_likelihood_log_bias():
    estimates = (0.5, 1.5)
    rho = sum((each - 1) ** 2 for each in estimates) / 2
    return sum(map(math.log, estimates)) / 2, math.log(sum(estimates) / 2), -rho / 2


def numbers_of_elbo_right_mean():
    model = vae.LinearGaussianVAE(torch.ones(1, 1, dtype=torch.float64), noise_var=1.0)
    x, one, logvar = f64([[2.0]]), f64([[1.0]]), f64([[0.0]])
    gap = (model.log_prob(x) - model.elbo(x, one, logvar)).item()
    old = (model.log_prob(x) - model.elbo(x, 0 * one, logvar)).item()
    mean, covariance = model.posterior(x)
    return gap, 0, kl(mean.item(), covariance.item(), 1.0, 1.0), old - gap


def numbers_of_elbo_logvar():
    cost = kl(1.0, math.exp(-2))
    return cost, kl(1.0, math.exp(-2) ** 2), kl(0.0, math.exp(-2)), 2 * cost


def numbers_of_gradients_linear():
    # Under q = N(0, 4), the estimator 3z * d/dmu log q: its moments by quadrature.
    z = torch.linspace(-40, 40, 800_001, dtype=torch.float64)
    mu = f64(0.0).requires_grad_()
    q = torch.distributions.Normal(mu, 2.0)
    weight = q.log_prob(z).exp().detach() * (z[1] - z[0])
    estimate = 3 * z * ((z - mu.detach()) / 4)  # the score of a Gaussian is checked in tests/lib
    mean, square = (weight @ estimate).item(), (weight @ estimate**2).item()
    return square - mean**2, 0, square, (weight @ (3 * z) ** 2).item()


def numbers_of_digits_untrained():
    images = torch.zeros(1, 1, 28, 28)
    recon = vae.log_likelihood(images, torch.zeros(1, 1, 28, 28)).item()
    return recon, recon * NAT, recon / 784


def numbers_of_codes_beta():
    recon, cost, beta = -15, 3, 4
    loss = beta * cost - recon
    return (recon - cost) + loss, beta * cost, loss


def numbers_of_limits_two_weights():
    weights = (0.5, 1.5)
    pairs = [math.log((one + other) / 2) for one in weights for other in weights]
    return sum(pairs) / 4, sum(map(math.log, weights)) / 2, 0


def numbers_of_game_uneven_odds():
    # Shown 1 real and 2 generated images, all alike: what maximises the average log-probability of the right answer.
    d = torch.linspace(0.0001, 0.9999, 9999, dtype=torch.float64)
    best = d[(d.log() + 2 * (1 - d).log()).argmax()].item()
    return best, gan.optimal_discriminator(f64([1.0]), f64([1.0])).item(), 1 - best


def numbers_of_game_half():
    p, q = f64([0.5, 0.5]), f64([1.0, 0.0])
    score = gan.tabular_value(gan.optimal_discriminator(p, q), p, q).item()
    return score, -math.log(4), 0, gan.jensen_shannon(p, q).item() - math.log(4)


def numbers_of_gan_slopes():
    sizes = {kind: abs(gan.generator_slope(f64([0.2]), kind).item()) for kind in ("minimax", "non_saturating")}
    ratio = sizes["non_saturating"] / sizes["minimax"]
    return ratio, 1 / 0.2, 1 / ratio


def numbers_of_losses_earth():
    real, fake = f64([0.0, 2.0, 10.0]), f64([1.0, 3.0, 4.0])
    distance = metrics.wasserstein_1d(real[:, None], fake[:, None]).item()
    return distance, (real.mean() - fake.mean()).item(), 3 * distance


def numbers_of_losses_flat_critic():
    x, u = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64), f64([0.1, 0.4, 0.6, 0.9])
    penalty = gan.gradient_penalty(lambda x: 0.6 * x[:, 0], x, -x, u)
    assert penalty.max() - penalty.min() < 1e-12
    return 10 * penalty[0].item(), 0, penalty[0].item(), 10 * penalty[0].sqrt().item()


def numbers_of_collapse_doubling():
    x, y, taken, squares = 1.0, 0.0, 0, None
    while x**2 + y**2 < 4:
        x, y, taken = x - 0.1 * y, y + 0.1 * x, taken + 1
        if squares is None and x**2 + y**2 >= 2:
            squares = taken
    return taken, squares, 1 / 0.1


def numbers_of_dcgan_midpoint():
    # The length of a Gaussian vector in 64 dimensions: exactly, by its gamma functions.
    length = math.sqrt(2) * math.exp(math.lgamma(32.5) - math.lgamma(32))
    return length / math.sqrt(2), length, length / 2, length * math.sqrt(2)


def numbers_of_hierarchical_lazy():
    def gap(weight, mean, variance):
        both = (mean - math.sqrt(variance), mean + math.sqrt(variance))  # this mean and this variance
        return sum(kl(0.0, 1.0, weight * z, 1 - weight**2) for z in both) / 2

    return gap(0.6, 1.0, 0.5), gap(0.6, 1.0, 0.0), gap(0.8, 1.0, 0.5)


def numbers_of_forward_two_steps():
    schedule = Schedule(f64([0, 0.1, 0.2]))
    _, var = diffusion.q_mean_var(f64([[2.0]]), torch.tensor([2]), schedule)
    return var.item(), 0.1 + 0.2, math.sqrt(var.item()), schedule.alpha_bar[2].item()


def numbers_of_forward_wide_data():
    # Two data, at 2 and -2, have variance 4: that of the means at t, and of the noise.
    mean, var = diffusion.q_mean_var(f64([[2.0], [-2.0]]), torch.tensor([1, 1]), steps(0.5))
    return (mean.var(correction=0) + var[0]).item(), 1, 4, 4 + var[0].item()


def numbers_of_posterior_pencil():
    schedule = steps(0.5, 0.25)
    mean, _ = diffusion.q_posterior(f64([[1.0]]), f64([[0.0]]), torch.tensor([2]), schedule)
    beginning = math.sqrt(0.5)
    return mean.item(), beginning, beginning / 2, mean.item() / beginning


def numbers_of_rivals_floor():
    targets = (0.9, 0.1), (0.1, 0.9)
    shares = [i / 10_000 for i in range(1, 10_000)]
    floor = min(sum(discrete_kl(r, (share, 1 - share)) for r in targets) / 2 for share in shares)
    return floor, 0, entropy(targets[0]), entropy((0.5, 0.5))


def numbers_of_rivals_four_times():
    def together(number):
        return number * (1 / number) ** 3

    return together(400) / together(100), 1 / 4, together(400) / together(100) / 4


def numbers_of_loss_double_mean():
    # By the divergence of Gaussians of any one variance, here that of t = 100.
    var = diffusion.linear_schedule().beta_tilde[100].item()
    pixel = kl(0.5 * math.sqrt(var), var, 0.0, var)
    return 24 * pixel, 2 * 24 * pixel, 64 * pixel, pixel


def numbers_of_loss_weight_halved():
    weight = diffusion.loss_weight(steps(4 / 5, 2 / 3))[2].item()  # ratios 4 and 2
    return weight, 2 * weight, (2 / 4 - 1) / 2


def numbers_of_network_adagn():
    h, scale, shift = f64([2.0, 4.0, 4.0, 6.0]).reshape(1, 1, 2, 2), f64([[3.0]]), f64([[-1.0]])
    right = unet.ada_group_norm(h, scale, shift, groups=1)[0, 0, 0, 0].item()
    stretched = unet.ada_group_norm(h, scale, 0 * shift, groups=1)[0, 0, 0, 0].item()
    other = 3 * (2 - 4) / h.std().item() - 1
    return right, other, stretched, stretched + 3 * -1


def numbers_of_network_ema():
    def half(m):
        share, back = 1.0, 0
        while share > 0.5:
            share, back = share * m, back + 1
        return back

    return half(0.99), 0.5 / 0.01, half(0.999)


def numbers_of_sampling_ddim():
    schedule, xt, eps_hat = steps(0.64, 0.25), f64([[1.0]]), f64([[0.5]])
    t, s = torch.tensor([2]), torch.tensor([1])
    x0 = diffusion.predict_x0(xt, t, eps_hat, schedule).item()
    right = diffusion.ddim_step(xt, t, s, eps_hat, torch.zeros(1, 1, dtype=torch.float64), schedule).item()
    return right, right - 0.6 * 0.5, x0, x0 + 0.5


def numbers_of_bits_wide_decoder():
    delta = 1 / 16  # 17 levels
    level, logvar = torch.zeros(1, 1, dtype=torch.float64), f64([[2 * math.log(delta)]])
    nats = -diffusion.discretized_log_normal(level, level, logvar, 17).item()
    return nats * NAT, math.exp(-nats), nats, 0


def numbers_of_bits_share_of_class():
    return math.log(10) * NAT / (2 * 64), math.log(10) * NAT / 64, math.log(10) / (2 * 64)


NUMBERS = [(name, source) for _, kind, name, source in QUESTIONS if kind == "number"]


def literal(text):
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


@pytest.mark.parametrize(("name", "source"), NUMBERS, ids=[name for name, _ in NUMBERS])
def test_the_answer_and_the_explained_mistakes_are_what_a_computation_gives(name, source):
    compute = globals().get(f"numbers_of_{name.replace('-', '_')}")
    assert compute, f"no computation for the question {name!r}: add one here"
    right, *mistakes = compute()
    options = dict(re.findall(r"^:(answer|tolerance): (\S+)$", source, re.MULTILINE))
    tolerance = float(options["tolerance"])
    assert literal(options["answer"]) == pytest.approx(right, abs=tolerance / 2)
    explained = [literal(text) for text in re.findall(r"^:+\{wrong\} (\S+)$", source, re.MULTILINE)]
    assert explained == pytest.approx(mistakes, rel=0.005, abs=tolerance)  # a mistake is known to half a per cent


def test_no_computation_is_left_over():
    computed = {name.removeprefix("numbers_of_") for name in globals() if name.startswith("numbers_of_")}
    assert computed == {name.replace("-", "_") for name, _ in NUMBERS}


def test_every_chapter_asks_three_questions_or_more():
    for path in CHAPTERS:
        page = path.relative_to(ROOT).with_suffix("").as_posix()
        assert sum(each[0] == page for each in QUESTIONS) >= 3, page


@pytest.mark.parametrize("page", ["1-vae/elbo", "2-gan/game", "3-diffusion/posterior", "3-diffusion/loss"])
def test_the_large_derivations_can_be_put_in_order(page):
    assert any(kind == "order" and where == f"book/{page}" for where, kind, _, _ in QUESTIONS)


def test_a_sample_of_torch_normal_has_no_gradient():
    """What the question gradients-torch-normal says of PyTorch: no error, and a derivative of zero."""
    mu, sigma = torch.zeros(3, requires_grad=True), torch.ones(3, requires_grad=True)
    sample = torch.normal(mu, sigma)
    assert [g.abs().max().item() for g in torch.autograd.grad(sample.sum(), (mu, sigma))] == [0.0, 0.0]


# ------------------------------------------------------------------ in the browser

MAP, GAME, LOSS, TABLE_PAGE, FRONT = (
    f"book/{name}" for name in ("0-map/taxonomy", "2-gan/game", "3-diffusion/loss", "4-compare/table", "index")
)


def verdict(check):
    return " ".join(check.locator(".gm-check-verdict").inner_text().split())


def kept(page):
    return page.evaluate("JSON.parse(localStorage.getItem('genmodels-checks'))")


def test_a_choice_is_judged_explained_and_remembered(reader):
    page = reader().open(MAP)
    check = page.locator("#check-map-impossible-tails")
    press = check.get_by_role("button", name="Check")
    press.click()
    assert verdict(check) == "Choose an option first."
    check.get_by_role("radio", name="Very close to zero").check()
    assert verdict(check) == ""  # the old verdict was not about this
    press.click()
    assert verdict(check).startswith("Not so. For all tosses but one")
    assert check.locator(".gm-check-verdict mjx-container").first.is_visible()
    assert kept(page) is None
    check.get_by_role("radio", name="Minus infinity").check()
    press.click()
    assert verdict(check).startswith("✓ Right. One example")
    assert kept(page) == {"map-impossible-tails": 1}
    assert page.locator(".gm-check-count").inner_text().startswith("1 of 3 questions on this page answered right.")
    page.reload()
    assert check.locator(".gm-check-done").is_visible()
    assert not page.locator("#check-map-fair-model .gm-check-done").is_visible()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("-0.955", "✓ Right."),
        ("  − 0,955 ", "✓ Right."),
        ("-.9548", "✓ Right."),
        ("-191/200", "✓ Right."),
        ("-9.55e-1", "✓ Right."),
        ("-95.5 %", "✓ Right."),
        ("-9.55*10^-1", "✓ Right."),
        ("-1,386", "Not so. You gave −1.386. That is the score of a perfect generator."),
        ("-1.17", "Not so. You gave −1.17. You added the Jensen–Shannon divergence once."),
        ("0.955", "Not so. You gave 0.955. The size is right, the sign is not."),
        ("-0.96", "Not so. You gave −0.96. That is close. It should be exact to within 0.002."),
        ("7", "Not so. You gave 7. Try again, or unfold the answer."),
        ("", "Type a number first."),
        ("log 2", "“log 2” is no number that I can read. Write for example 0.5, 0,5, 1/2, −3 or 1e-3."),
        ("1/0", "“1/0” is no number that I can read. Write for example 0.5, 0,5, 1/2, −3 or 1e-3."),
        ("1.2.3", "“1.2.3” is no number that I can read. Write for example 0.5, 0,5, 1/2, −3 or 1e-3."),
    ],
)
def test_a_number_is_read_however_it_is_written(numbers_page, typed, said):
    check = numbers_page.locator("#check-game-half")
    check.get_by_role("textbox").fill(typed)
    check.get_by_role("textbox").press("Enter")
    assert verdict(check).startswith(said)


@pytest.fixture(scope="module")
def numbers_page(browser, site):
    context = browser.new_context()
    page = context.new_page()
    page.goto((site / f"{GAME}.html").as_uri())
    yield page
    context.close()


@pytest.mark.parametrize("typed", ["24200", "24,200", "24 200 codes", "2.42e4", "2.42·10^4"])
def test_a_large_number_may_have_its_thousands_marked_and_its_unit(reader, typed):
    page = reader().open("book/1-vae/likelihood")
    check = page.locator("#check-likelihood-codes")
    check.get_by_role("textbox", name="Your number").fill(typed)
    check.get_by_role("button", name="Check").click()
    assert verdict(check).startswith("✓ Right.")


def letters_in_order(check):
    """The letters of the pieces in the order in which they were written, and as they stand now."""
    pieces = check.locator(".gm-check-piece").evaluate_all("all => all.map(e => [+e.dataset.piece, e.dataset.letter])")
    return [letter for _, letter in sorted(pieces)], [letter for _, letter in pieces]


def test_an_order_is_put_right_by_keys_alone(reader):
    page = reader().open(GAME)
    check = page.locator("#check-game-order")
    check.get_by_role("button", name="Check").press("Enter")
    assert re.match(r"Not yet\. The first line, .|Not yet\. The order holds down to line \d", verdict(check))
    wanted, _ = letters_in_order(check)
    for place, letter in enumerate(wanted):
        up = check.get_by_role("button", name=f"Move {letter} up")
        up.focus()
        for _ in range(letters_in_order(check)[1].index(letter) - place):
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Move {letter} up"
    assert letters_in_order(check)[1] == wanted
    assert verdict(check) == ""
    check.get_by_role("button", name="Check").press("Enter")
    assert verdict(check).startswith("✓ Right. Only in the integral")
    spoken = check.locator(".gm-hidden[role=status]").inner_text()
    assert re.fullmatch(r"[A-F] is now line \d of 6\.", spoken)


@pytest.mark.parametrize("turn", [(4, 5, 6), (6, 4, 5), (4, 6, 5)])
def test_pieces_that_may_change_places_do(reader, turn):
    page = reader().open(LOSS)
    check = page.locator("#check-loss-order")
    check.locator(".gm-check-pieces").evaluate(
        "(list, order) => order.forEach(n => list.append(list.querySelector(`[data-piece='${n}']`)))", [1, 2, 3, *turn]
    )
    check.get_by_role("button", name="Check").click()
    assert verdict(check).startswith("✓ Right.")


def test_pieces_that_may_not_change_places_are_named(reader):
    page = reader().open(LOSS)
    check = page.locator("#check-loss-order")
    check.locator(".gm-check-pieces").evaluate(
        "list => [1, 2, 4, 3, 5, 6].forEach(n => list.append(list.querySelector(`[data-piece='${n}']`)))"
    )
    letter = letters_in_order(check)[1][2]
    check.get_by_role("button", name="Check").click()
    said = f"Not yet. The order holds down to line 2. Line 3, {letter}, needs something that stands below it."
    assert verdict(check) == said


def test_a_piece_is_dragged_to_its_place(reader):
    page = reader(height=1200).open(GAME)
    check = page.locator("#check-game-order")
    check.scroll_into_view_if_needed()
    before = letters_in_order(check)[1]
    grips = check.locator(".gm-check-grip")
    start, end = grips.nth(0).bounding_box(), grips.nth(2).bounding_box()
    x = start["x"] + start["width"] / 2
    page.mouse.move(x, start["y"] + 10)
    page.mouse.down()
    page.mouse.move(x, end["y"] + end["height"] + 5, steps=12)
    page.mouse.up()
    assert letters_in_order(check)[1] == [before[1], before[2], before[0], *before[3:]]
    assert check.locator(".gm-check-lifted").count() == 0


def test_a_piece_is_dragged_by_a_finger(reader):
    page = reader(width=390, height=844).open(GAME)
    check = page.locator("#check-game-order")
    check.locator(".gm-check-piece").first.evaluate("e => e.scrollIntoView({block: 'center'})")
    before = letters_in_order(check)[1]
    grips = check.locator(".gm-check-grip")
    start, end = grips.nth(0).bounding_box(), grips.nth(1).bounding_box()
    x, y, below = start["x"] + 8, start["y"] + 8, end["y"] + end["height"]
    scrolled = page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 11):
        at = {"x": x, "y": y + (below - y) * step / 10}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert letters_in_order(check)[1] == [before[1], before[0], *before[2:]]
    assert page.evaluate("scrollY") == scrolled  # the page did not move under the finger


def test_the_closing_table_is_checked_cell_by_cell(reader):
    page = reader(width=390, theme="dark").open(TABLE_PAGE)
    check = page.locator("#check-compare-table")
    press = check.get_by_role("button", name="Check")
    cells = check.locator("[data-cell]")
    assert cells.count() == 24
    press.click()
    assert verdict(check) == "0 of 24 right. 24 are still empty."
    check.get_by_label("Probability of an image: GAN").select_option("exact")
    check.get_by_label("Probability of an image: VAE").select_option("a bound")
    press.click()
    assert verdict(check).startswith("1 of 24 right. 22 are still empty. Probability of an image. GAN: none.")
    assert check.get_by_label("Probability of an image: GAN").get_attribute("aria-invalid") == "true"
    for cell in cells.all():
        cell.locator("select").select_option(cell.get_attribute("data-right"))
    assert check.locator("[aria-invalid=true]").count() == 0
    press.click()
    assert verdict(check).startswith("✓ All 24 are right.")
    assert check.locator("details").get_attribute("open") is not None
    assert check.locator(".gm-check-why a").count() >= 24
    assert kept(page) == {"compare-table": 1}


def test_the_front_page_counts_by_chapter_and_clears_on_the_second_press(reader):
    window = reader()
    page = window.open(MAP)
    page.evaluate("localStorage.setItem('genmodels-checks', JSON.stringify({'map-fair-model': 1, 'game-half': 1}))")
    page = window.open(FRONT)
    lines = page.locator("#check-overview li")
    assert lines.count() == len(CHAPTERS) + 1  # and the closing table
    assert lines.nth(0).inner_text().split("\n")[-1].strip() == "1 of 3"
    assert lines.filter(has_text="A game between two networks").inner_text().endswith("1 of 3")
    clear = page.locator("[data-clear]")
    clear.click()
    assert kept(page) is not None
    assert clear.inner_text() == "Clear them all: press again"
    clear.click()
    assert kept(page) is None
    assert lines.nth(0).inner_text().endswith("0 of 3")
    assert page.locator(".gm-check-kept").inner_text() == "Your answers are cleared."


@pytest.mark.parametrize("found", ["{", "[1]", "null", '"text"', "{}"])
def test_what_something_else_wrote_into_the_store_does_no_harm(reader, found):
    window = reader()
    page = window.open(MAP)
    page.evaluate("found => localStorage.setItem('genmodels-checks', found)", found)
    page = window.open(MAP)
    check = page.locator("#check-map-impossible-tails")
    check.get_by_role("radio", name="Minus infinity").check()
    check.get_by_role("button", name="Check").click()
    assert kept(page)["map-impossible-tails"] == 1


def test_where_the_browser_keeps_nothing_the_questions_work_and_say_so(browser, site):
    """The theme's own script fails in such a browser, so that its errors are not looked at here."""
    context = browser.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});"
    )
    page = context.new_page()
    page.goto((site / f"{MAP}.html").as_uri())
    check = page.locator("#check-map-impossible-tails")
    check.get_by_role("radio", name="Minus infinity").check()
    check.get_by_role("button", name="Check").click()
    assert verdict(check).startswith("✓ Right.")
    count = page.locator(".gm-check-count").inner_text()
    assert count.startswith("1 of 3 questions on this page answered right. This browser keeps nothing")
    page.goto((site / f"{FRONT}.html").as_uri())
    assert "keeps nothing" in page.locator(".gm-check-kept").inner_text()
    context.close()


def plain(window, name):
    """Open a page where no script can be asked whether it is ready."""
    window.page.goto((window.site / f"{name}.html").as_uri())
    return window.page


@pytest.mark.parametrize("page_name", [GAME, TABLE_PAGE, FRONT])
def test_without_javascript_the_question_and_its_answer_can_be_read(reader, page_name):
    page = plain(reader(java_script_enabled=False), page_name)
    assert page.locator(".gm-check :is(input, button, select):visible, [data-clear]:visible").count() == 0
    if page_name == FRONT:
        assert page.locator("#check-overview li").first.inner_text().endswith("3 questions")
        return
    check = page.locator("[data-check]").last
    assert check.locator(".gm-check-text").is_visible()
    why = check.locator(".gm-check-why").first
    assert not why.is_visible()
    check.locator("summary").click()
    assert why.is_visible()


def test_on_paper_questions_have_their_answers_open_and_no_controls(reader):
    page = reader().open(GAME)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    check = page.locator("#check-game-half")
    assert check.locator(".gm-check-why").first.is_visible()
    assert page.locator(".gm-check :is(input, button, select):visible").count() == 0
    assert page.locator(".gm-check-count:visible").count() == 0

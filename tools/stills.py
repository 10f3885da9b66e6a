"""Draw the stills of the live figures, the SVG that print and a browser without JavaScript show.

    python tools/stills.py            writes book/assets/stills/*.svg
    python tools/stills.py --check    writes nothing; exit status 1 if a file differs from what would be written

The numbers come from `genmodels`, the shapes from here; the inks are classes of book/assets/css/book.css.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import NormalDist

import torch

from genmodels import data, diffusion, gan, metrics, pretrained
from genmodels.diffusion_exact import GaussianMixture, toy_mixture
from genmodels.gaussian import kl_normal, log_normal
from genmodels.vae import LinearGaussianVAE, reparameterize

STILLS = Path(__file__).resolve().parents[1] / "book" / "assets" / "stills"


Point = tuple[float, float]


def line(points: Iterable[Point]) -> str:
    """The `d` of a path through the points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def signed(text: object) -> str:
    return str(text).replace("-", "−")


def ticks(values: Iterable[float], at: Callable[[float], float], y: float) -> str:
    """Marks and numbers below a horizontal axis at height y."""
    return "".join(
        f'<line x1="{at(v):.1f}" x2="{at(v):.1f}" y1="{y}" y2="{y + 4}"/>'
        f'<text x="{at(v):.1f}" y="{y + 18}">{signed(v)}</text>'
        for v in values
    )


def elbo_gap() -> str:
    """The start of the figure in book/assets/js/live/elbo-gap.js: w = 1, s2 = 1, x = 2, q = N(-0.6, 0.9²)."""
    model = LinearGaussianVAE(torch.ones(1, 1, dtype=torch.float64), noise_var=1.0)
    x = torch.tensor([[2.0]], dtype=torch.float64)
    mu, sigma = torch.tensor([[-0.6]], dtype=torch.float64), torch.tensor([[0.9]], dtype=torch.float64)
    logvar = 2 * sigma.log()
    mean, covariance = model.posterior(x)
    zero = torch.zeros(1, 1, dtype=torch.float64)
    log_prob, elbo = model.log_prob(x).item(), model.elbo(x, mu, logvar).item()
    gap = kl_normal(mu, logvar, mean, covariance.log()).item()

    width, left, right, top, bottom = 640, 8, 632, 22, 224
    z = torch.linspace(-4, 4, 121, dtype=torch.float64)[:, None]
    densities = {
        "prior": log_normal(z, zero.expand_as(z), zero.expand_as(z)).exp(),
        "exact": log_normal(z, mean.expand_as(z), covariance.log().expand_as(z)).exp(),
        "q": log_normal(z, mu.expand_as(z), logvar.expand_as(z)).exp(),
    }
    highest = 1.08 * max(density.max().item() for density in densities.values())

    def at(value: float) -> float:
        return left + (value + 4) / 8 * (right - left)

    def path(density: torch.Tensor) -> str:
        points = zip(z[:, 0].tolist(), density.tolist(), strict=True)
        return line((at(zi), bottom - p / highest * (bottom - top)) for zi, p in points)

    def nats(value: float) -> float:
        return left + (value + 10) / 10 * (right - left)

    scale = ticks(range(-10, 0, 2), nats, 316).replace("<text", '<text class="gm-axis-first"', 1)
    number = "{:.3f}".format
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 372">
<!-- Written by tools/stills.py. -->
<g class="gm-axis"><line x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>\
{ticks(range(-3, 4), at, bottom)}<text class="gm-axis-name" x="{right - 2}" y="{bottom + 18}">z</text></g>
<path class="gm-c-q-fill" d="{path(densities["q"])}Z"/>
<path class="gm-c-prior" d="{path(densities["prior"])}"/>
<path class="gm-c-exact" d="{path(densities["exact"])}"/>
<path class="gm-c-q" d="{path(densities["q"])}"/>
<text class="gm-t-q" x="{at(-0.85):.1f}" y="104" text-anchor="end">q(z)</text>
<text class="gm-t-exact" x="{at(1.5):.1f}" y="70">posterior p(z|x)</text>
<text class="gm-t-prior" x="{at(-2.15):.1f}" y="192" text-anchor="end">prior p(z)</text>
<g class="gm-axis">{scale}<text class="gm-axis-last" x="{right}" y="334">0 nats</text></g>
<rect class="gm-b-elbo" x="{left}" y="294" width="{nats(elbo) - left:.1f}" height="22"/>
<rect class="gm-b-gap" x="{nats(elbo):.1f}" y="294" width="{nats(log_prob) - nats(elbo):.1f}" height="22"/>
<line class="gm-b-line" x1="{nats(log_prob):.1f}" x2="{nats(log_prob):.1f}" y1="288" y2="320"/>
<text class="gm-b-in" x="{left + 8}" y="310">ELBO</text>
<text class="gm-b-mid" x="{(nats(elbo) + nats(log_prob)) / 2:.1f}" y="310">gap</text>
<text class="gm-b-name" x="{nats(log_prob):.1f}" y="283">log p(x)</text>
<text class="gm-b-caption" x="{left}" y="364">log p(x) = {number(log_prob)}, ELBO = {number(elbo)}, \
gap = {number(gap)} nats, at x = 1.5</text>
</svg>
""".replace("= -", "= −")


def normal_draws(n: int, seed: int) -> list[float]:
    """Of a standard normal, to two decimals, from a generator that is the same everywhere."""
    generator = random.Random(seed)
    return [round(NormalDist().inv_cdf(generator.random()), 2) for _ in range(n)]


def noise() -> list[float]:
    """The noise of the figure in book/assets/js/live/reparameterization.js, sorted."""
    return sorted(normal_draws(24, seed=11))


def pixel_noise() -> list[float]:
    """The noise of the figure in book/assets/js/live/dif-schedules.js, for 8 by 8 pixels, row by row."""
    return normal_draws(64, seed=6)


def picture(name: str, image: torch.Tensor, left: float, top: float, size: int) -> str:
    """An 8 by 8 image, values from 0 to 1, in cells of `size` pixels, with its name below."""
    cells = "".join(
        f'<rect x="{left + size * column}" y="{top + size * row}" width="{size}" height="{size}" '
        f'fill="#{3 * f"{round(255 * image[row, column].item()):02x}"}"/>'
        for row in range(8)
        for column in range(8)
    )
    return (
        f'<g shape-rendering="crispEdges">{cells}</g><rect x="{left}" y="{top}" width="{8 * size}" '
        f'height="{8 * size}" style="fill: none; stroke: var(--gm-muted)"/>'
        f'<text class="gm-p-name" x="{left}" y="{top + 8 * size + 15}">{name}</text>'
    )


def reparameterization() -> str:
    """The start of the figure in book/assets/js/live/reparameterization.js: mu = sigma = 1."""
    eps = torch.tensor(noise(), dtype=torch.float64)[:, None]
    mu = torch.ones_like(eps, requires_grad=True)
    z = reparameterize(mu, torch.zeros_like(eps), eps)
    f = z.square()
    (slope,) = torch.autograd.grad(f.sum(), mu)  # of each sample, dz / dmu being 1
    # The moments of a standard normal by quadrature, exact for polynomials: the variances of one sample of each.
    nodes, weights = torch.linspace(-12, 12, 4801, dtype=torch.float64)[:, None], 24 / 4800
    density = log_normal(nodes, torch.zeros_like(nodes), torch.zeros_like(nodes)).exp() * weights
    at_nodes = reparameterize(torch.ones_like(nodes), torch.zeros_like(nodes), nodes)[:, 0]
    variances = [
        float(density @ estimate.square() - (density @ estimate).square())
        for estimate in (2 * at_nodes, at_nodes.square() * nodes[:, 0])
    ]

    width, left, right, top, bottom, row_noise, row_z = 640, 8, 632, 172, 330, 38, 118
    samples, values = z[:, 0].tolist(), f[:, 0].tolist()
    highest = 1.05 * max(values)

    def at(value: float) -> float:
        return left + (value + 6.4) / 12.8 * (right - left)

    def y(value: float) -> float:
        return bottom - value / highest * (bottom - top)

    def tangent(i: int) -> str:
        x, level = at(samples[i]), y(values[i])
        rise = slope[i].item() * (bottom - top) / highest / ((right - left) / 12.8)
        dx, dy = 24 / (1 + rise**2) ** 0.5, 24 * rise / (1 + rise**2) ** 0.5
        return line([(x - dx, level + dy), (x + dx, level - dy)])

    def log(variance: float) -> float:
        return left + (torch.tensor(variance, dtype=torch.float64).log10().item() + 2) / 6 * (right - left)

    def dots(points: Iterable[Point]) -> str:
        return "".join(f'<circle class="gm-r-sample" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points)

    edge = highest**0.5
    threads = "".join(line([(at(e), row_noise), (at(s), row_z)]) for e, s in zip(noise(), samples, strict=True))
    drops = "".join(line([(at(s), row_z), (at(s), y(v))]) for s, v in zip(samples, values, strict=True))
    marks = "".join(line([(at(e), row_noise - 6), (at(e), row_noise + 6)]) for e in noise())
    parabola = line((at(edge * i / 60), y((edge * i / 60) ** 2)) for i in range(-60, 61))
    baseline = 442
    scale = ticks((0.01, 0.1, 1, 10, 100, 1000), log, baseline).replace("<text", '<text class="gm-axis-first"', 1)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 500">
<!-- Written by tools/stills.py. -->
<g class="gm-axis"><line x1="{at(-2.5):.1f}" x2="{at(2.5):.1f}" y1="{row_noise}" y2="{row_noise}"/>\
{"".join(f'<text x="{at(v):.1f}" y="{row_noise - 12}">{signed(v)}</text>' for v in range(-2, 3))}\
<line x1="{left}" x2="{right}" y1="{row_z}" y2="{row_z}"/><line x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>\
{ticks(range(-6, 6), at, bottom)}<text class="gm-axis-name" x="{right}" y="{bottom + 18}">z</text></g>
<path class="gm-r-threads" d="{threads}"/>
<path class="gm-r-drops" d="{drops}"/>
<path class="gm-r-noise" d="{marks}"/>
<path class="gm-r-parabola" d="{parabola}"/>
<path class="gm-r-tangents" d="{"".join(tangent(i) for i in (1, 6, 11, 16, 22))}"/>
{dots((at(s), row_z) for s in samples)}
{dots((at(s), y(v)) for s, v in zip(samples, values, strict=True))}
<text x="{left}" y="{row_noise + 4}">noise ε</text>
<text x="{left}" y="{row_z - 8}">samples z = μ + σε</text>
<text x="{left}" y="{bottom - 26}">f(z) = z²</text>
<text x="{left}" y="{bottom - 9}">some slopes f′(z)</text>
<g class="gm-axis"><line x1="{left}" x2="{right}" y1="{baseline}" y2="{baseline}"/>\
{scale}</g>
<rect class="gm-b-elbo" x="{left}" y="376" width="{log(variances[0]) - left:.1f}" height="18"/>
<text x="{left}" y="370">variance of one pathwise sample</text>
<rect class="gm-b-score" x="{left}" y="418" width="{log(variances[1]) - left:.1f}" height="18"/>
<text x="{left}" y="412">variance of one score-function sample</text>
<text class="gm-b-caption" x="{left}" y="490">variance {variances[0]:.1f} pathwise, {variances[1]:.1f} with the score \
function, at μ = 1 and σ = 1</text>
</svg>
"""


def manifold() -> str:
    """The start of the figure in book/assets/js/live/manifold.js: the code (0.6, 1.7)."""
    model = pretrained.load("vae_digits_2d").double()
    images, labels = data.digits("test")
    z = torch.tensor([[0.6, 1.7]], dtype=torch.float64)
    with torch.no_grad():
        codes, _ = model.encode(data.binarize(images).double())  # (359, 2)
        pixels = model.mean(model.decode(z))[0, 0]  # (8, 8)

    limit, left, right, top, bottom, size, edge = 3.2, 28, 420, 2, 394, 24, 447

    def x(z1: float) -> float:
        return left + (z1 + limit) / (2 * limit) * (right - left)

    def y(z2: float) -> float:
        return bottom - (z2 + limit) / (2 * limit) * (bottom - top)

    def numerals(digit: int) -> str:
        own: Sequence[Point] = [(a, b) for a, b in codes[labels == digit].tolist() if max(abs(a), abs(b)) < limit]
        xs, ys = " ".join(f"{x(a):.1f}" for a, _ in own), " ".join(f"{y(b) + 4:.1f}" for _, b in own)
        return f'<text class="gm-m-digits" x="{xs}" y="{ys}">{str(digit) * len(own)}</text>'

    def cell(row: int, column: int) -> str:
        level = round(255 * pixels[row, column].item())
        where = f'x="{edge + size * column}" y="{top + size * row}" width="{size}" height="{size}"'
        return f'<rect {where} fill="#{level:02x}{level:02x}{level:02x}"/>'

    circles = "".join(f'<circle class="gm-m-prior" cx="{x(0)}" cy="{y(0)}" r="{x(r) - x(0):.1f}"/>' for r in (1, 2))
    upright = "".join(
        f'<line x1="{left - 4}" x2="{left}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text class="gm-axis-last" x="{left - 7}" y="{y(v) + 4:.1f}">{signed(v)}</text>'
        for v in range(-3, 3)
    )
    outside = int((codes.abs().amax(dim=1) >= limit).sum())
    z1, z2 = z[0].tolist()
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 416">
<!-- Written by tools/stills.py. -->
<rect class="gm-m-frame" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>
{circles}
{"".join(numerals(digit) for digit in range(10))}
<text class="gm-m-name gm-t-prior" x="{left + 8}" y="{top + 18}">\
circles: 1 and 2 standard deviations of the prior</text>
<text class="gm-m-name" text-anchor="end" x="{right - 8}" y="{bottom - 9}">{outside} of {len(codes)} lie outside</text>
<g class="gm-axis">{ticks(range(-3, 3), x, bottom)}{upright}<text class="gm-axis-name" x="{right}" y="{bottom + 18}">\
z₁</text><text class="gm-axis-name" x="{left - 7}" y="{top + 12}">z₂</text></g>
<circle class="gm-handle-dot" style="fill: none" cx="{x(z1):.1f}" cy="{y(z2):.1f}" r="9"/>
<g shape-rendering="crispEdges">{"".join(cell(row, column) for row in range(8) for column in range(8))}</g>
<rect x="{edge}" y="{top}" width="{8 * size}" height="{8 * size}" style="fill: none; stroke: var(--gm-muted)"/>
<text x="{edge}" y="{top + 8 * size + 22}">the code ({z1}, {z2}), decoded</text>
</svg>
"""


def shares(left: float, zero: float, one: float) -> str:
    """The numbers 0, ½ and 1 of an upright axis, from height `zero` up to height `one`."""
    return "".join(
        f'<text class="gm-axis-last" x="{left - 6}" y="{zero - share * (zero - one) + 4:.1f}">{text}</text>'
        for text, share in (("1", 1), ("½", 0.5), ("0", 0))
    )


def gan_game() -> str:
    """The start of the figure in book/assets/js/live/gan-game.js: G(z) = 1.2 + 0.8 z, and a step of size 0.2."""
    mu, sigma, step = 1.2, 0.8, 0.2

    def log_data(x: torch.Tensor) -> torch.Tensor:
        logvar = torch.full_like(x, 2 * math.log(0.5))
        modes = [log_normal(x, torch.full_like(x, mean), logvar) for mean in (-1.5, 1.5)]
        return torch.logaddexp(*modes) - math.log(2)

    def log_gen(x: torch.Tensor) -> torch.Tensor:
        return log_normal(x, torch.full_like(x, mu), torch.full_like(x, 2 * math.log(sigma)))

    def judge(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """D* at each point and the slope of its logit there: (N, 1) → (N,), (N,)."""
        x = x.clone().requires_grad_()
        logit = log_data(x) - log_gen(x)
        (slope,) = torch.autograd.grad(logit.sum(), x)
        with torch.no_grad():
            return gan.optimal_discriminator(log_data(x).exp(), log_gen(x).exp()), slope[:, 0]

    grid = torch.linspace(-12, 12, 2401, dtype=torch.float64)[:, None]
    p_data, p_gen = 0.01 * log_data(grid).exp(), 0.01 * log_gen(grid).exp()
    d, slope = judge(grid)
    divergence = gan.jensen_shannon(p_data, p_gen).item()
    minimax, other = ((p_gen @ (gan.generator_slope(d, kind) * slope)).item() for kind in ("minimax", "non_saturating"))

    width, left, right, top, base, one, zero = 640, 20, 632, 34, 162, 344, 414
    x = torch.linspace(-7, 7, 281, dtype=torch.float64)[:, None]
    highest = 1.08 * log_gen(x).exp().max().item()
    samples = mu + sigma * torch.tensor([[NormalDist().inv_cdf((i + 0.5) / 7)] for i in range(7)], dtype=torch.float64)

    def at(value: float) -> float:
        return left + (value + 7) / 14 * (right - left)

    def y(p: float) -> float:
        return base - p / highest * (base - top)

    def path(values: torch.Tensor, height: Callable[[float], float] = y) -> str:
        return line((at(xi), height(value)) for xi, value in zip(x[:, 0].tolist(), values.tolist(), strict=True))

    def pulled(kind: str, style: str, row: int) -> str:
        shares, slopes = judge(samples)
        ends = samples[:, 0] - step * gan.generator_slope(shares, kind) * slopes
        drawn = []
        for i, (start, end) in enumerate(zip(samples[:, 0].tolist(), ends.tolist(), strict=True)):
            x0, x1, level = at(start), at(end), row + 6 * i
            back = x1 + max(-5.0, min(5.0, x0 - x1))
            head = line([(back, level - 3), (x1, level), (back, level + 3)]) if abs(x1 - x0) >= 1 else ""
            drawn.append(f'<path class="gm-g-pull {style}" d="{line([(x0, level), (x1, level)])}{head}"/>')
            drawn.append(f'<circle class="gm-g-sample" cx="{x0:.1f}" cy="{level}" r="2"/>')
        return "".join(drawn)

    edge = 8
    full = width - 2 * edge

    def size(gradient: float) -> float:
        return edge + (math.log10(abs(gradient)) + 5) / 7 * full

    def bar(length: float, height: int, style: str, text: str) -> str:
        rectangle = f'<rect class="{style}" x="{edge}" y="{height}" width="{length:.1f}" height="18"/>'
        return f'{rectangle}\n<text x="{edge}" y="{height - 6}">{text}</text>'

    scale = ticks((0.001, 0.01, 0.1, 1, 10), size, 590)
    data, generator = log_data(x).exp(), log_gen(x).exp()
    name = log_data(torch.tensor([[-1.95]], dtype=torch.float64)).exp().item()
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 646">
<!-- Written by tools/stills.py. -->
<g class="gm-axis"><line x1="{left}" x2="{right}" y1="{base}" y2="{base}"/>\
<line x1="{left}" x2="{right}" y1="{zero}" y2="{zero}"/>{ticks(range(-6, 7), at, zero)}{shares(left, zero, one)}\
<text class="gm-axis-name" x="{right}" y="{zero + 18}">x</text></g>
<path class="gm-g-data-fill" d="{path(data)}L{right} {base}L{left} {base}Z"/>
<path class="gm-g-data" d="{path(data)}"/>
<path class="gm-g-gen" d="{path(generator)}"/>
<text class="gm-t-data" x="{at(-2.1):.1f}" y="{y(name):.1f}" text-anchor="end">data</text>
<text class="gm-t-exact gm-t-middle" x="{at(mu):.1f}" y="{y(highest / 1.08) - 10:.1f}">generator</text>
<text x="{left}" y="186">samples, and a step down the minimax loss</text>
{pulled("minimax", "gm-g-minimax", 198)}
<text x="{left}" y="254">a step down the non-saturating loss</text>
{pulled("non_saturating", "gm-g-nonSaturating", 266)}
<text x="{left}" y="{one - 10}">best discriminator D*(x)</text>
<path class="gm-g-half" d="{line([(left, (one + zero) / 2), (right, (one + zero) / 2)])}"/>
<path class="gm-g-best" d="{path(judge(x)[0], lambda share: zero - share * (zero - one))}"/>
<rect class="gm-b-gap" x="{edge}" y="474" width="{full}" height="18"/>
{bar(full * divergence / math.log(2), 474, "gm-b-divergence", "Jensen–Shannon divergence, from 0 to log 2")}
<g class="gm-axis"><line x1="{edge}" x2="{edge + full}" y1="590" y2="590"/>{scale}\
<text class="gm-axis-first" x="{edge}" y="608">10⁻⁵</text>\
<text class="gm-axis-last" x="{edge + full}" y="608">100</text></g>
{bar(size(minimax) - edge, 524, "gm-b-score", "size of the gradient, minimax")}
{bar(size(other) - edge, 566, "gm-b-model", "size of the gradient, non-saturating")}
<text class="gm-b-caption" x="{edge}" y="638">divergence {divergence:.3f} nats; derivative by the mean \
{signed(f"{minimax:.3f}")} (minimax), {signed(f"{other:.3f}")} (non-saturating)</text>
</svg>
"""


def gan_supports() -> str:
    """The start of the figure in book/assets/js/live/gan-supports.js: boxes of width 0.6 around 0 and around 2."""
    s, w, spacing = 2.0, 0.6, 0.02
    cells = torch.arange(-400, 400, dtype=torch.float64) * spacing + spacing / 2  # their middles, from -8 to 8

    def box(middle: float) -> torch.Tensor:
        inside = ((cells - middle).abs() < w / 2).double()
        return inside / inside.sum()

    def divergence(place: float) -> float:
        return gan.jensen_shannon(box(0.0), box(place)).item()

    def distance(place: float) -> float:
        return (box(0.0) - box(place)).cumsum(0).abs().sum().item() * spacing

    width, left, right, top, base, one, zero = 640, 20, 632, 38, 98, 138, 178
    up, down, high, bottom = 220, 320, 350, 480

    def at(value: float) -> float:
        return left + (value + 6.2) / 12.4 * (right - left)

    def price(x: float) -> float:
        """The height of the best critic: slope 1 from the near edge of the data to the far one of the generator."""
        value = s / 2 - max(-w / 2, min(s + w / 2, x))
        return (up + down) / 2 - value / 7 * (down - up)

    def level(value: float) -> float:
        return bottom - value / 5.2 * (bottom - high)

    def rectangle(middle: float) -> str:
        near, far = at(middle - w / 2), at(middle + w / 2)
        return line([(near, base), (near, top), (far, top), (far, base)])

    def judged(middle: float) -> str:
        p_data, p_gen = (box(place)[(cells - middle).abs() < w / 2] for place in (0.0, s))
        (share,) = gan.optimal_discriminator(p_data, p_gen).unique().tolist()  # the same on all of a box
        height = zero - share * (zero - one)
        return line([(at(middle - w / 2), height), (at(middle + w / 2), height)])

    def dot(style: str, x: float, y: float, radius: int) -> str:
        return f'<circle class="{style}" cx="{at(x):.1f}" cy="{y:.1f}" r="{radius}"/>'

    jsd = line((at(i / 10), level(divergence(i / 10))) for i in range(-62, 63))
    work = line((at(i / 10), level(distance(i / 10))) for i in range(-52, 53))
    upright = "".join(f'<text class="gm-axis-last" x="{left - 6}" y="{level(v) + 4:.1f}">{v}</text>' for v in (0, 2, 4))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 536">
<!-- Written by tools/stills.py. -->
<g class="gm-axis"><line x1="{left}" x2="{right}" y1="{base}" y2="{base}"/>\
<line x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>{ticks(range(-6, 6), at, bottom)}{shares(left, zero, one)}\
{upright}<text class="gm-axis-name" x="{right}" y="{bottom + 18}">x, s</text></g>
<path class="gm-g-half" d="{line([(at(s), base), (at(s), bottom)])}"/>
<path class="gm-g-data-fill" d="{rectangle(0)}Z"/>
<path class="gm-g-data" d="{rectangle(0)}"/>
<path class="gm-g-gen-fill" d="{rectangle(s)}Z"/>
<path class="gm-g-gen" d="{rectangle(s)}"/>
<path class="gm-g-best" d="{judged(0.0)}{judged(s)}"/>
<path class="gm-g-critic" d="{line((at(x), price(x)) for x in (-6.2, -w / 2, s + w / 2, 6.2))}"/>
<path class="gm-g-earned" d="{line([(at(0), price(0)), (at(s), price(0)), (at(s), price(s))])}"/>
{dot("gm-g-at-data", 0, price(0), 4)}{dot("gm-g-at-gen", s, price(s), 4)}
<path class="gm-g-jsd" d="{jsd}"/>
<path class="gm-g-work" d="{work}"/>
{dot("gm-g-at-jsd", s, level(divergence(s)), 5)}{dot("gm-g-at-gen", s, level(distance(s)), 5)}
<text class="gm-t-data" x="{at(-1.15):.1f}" y="{base - 14}" text-anchor="end">data</text>
<text class="gm-t-exact gm-t-middle" x="{at(s):.1f}" y="{top - 12}">generator</text>
<text x="{left}" y="{one - 13}">best discriminator D*(x)</text>
<text x="{left}" y="{up - 10}">a best critic f(x)</text>
<text class="gm-t-muted" x="{at(s) + 6:.1f}" y="{(up + down) / 2 + 4}">W</text>
<text class="gm-t-exact" x="{at(-3.2):.1f}" y="{level(4.4):.1f}">Wasserstein</text>
<text class="gm-t-muted" x="{at(-6):.1f}" y="{level(0.95):.1f}">Jensen–Shannon</text>
<text class="gm-b-caption" x="8" y="528">Jensen–Shannon divergence {divergence(s):.3f} nats, \
Wasserstein distance {distance(s):.3f}, at s = 2</text>
</svg>
"""


def gan_walk() -> str:
    """The start of the figure in book/assets/js/live/gan-walk.js: halfway between its first two codes."""
    model = pretrained.load("dcgan_digits").double()
    z = torch.randn(100, 16, generator=torch.Generator().manual_seed(0)).double()
    first, second = z[44], z[53]  # as in tools/live_weights.py
    ways = [gan.interpolate(first, second, 41, kind) for kind in ("linear", "spherical")]
    codes = torch.stack([first, second, ways[0][20], ways[1][20]])
    with torch.no_grad():
        images = (model(codes)[:, 0] + 1) / 2  # (4, 8, 8)

    # The plane of both codes: upright halfway between their directions, and what is left of one of them across it.
    upright = torch.nn.functional.normalize(first / first.norm() + second / second.norm(), dim=0)
    across = torch.nn.functional.normalize(second - (second @ upright) * upright, dim=0)
    width, unit, ground, size = 400, 31.25, 200, 13
    middle = width / 2

    def at(code: torch.Tensor) -> Point:
        return middle + unit * float(code @ across), ground - unit * float(code @ upright)

    def half(radius: float, sweep: int) -> str:
        r = unit * radius
        return f"A{r:.1f} {r:.1f} 0 0 {sweep} {middle + (r if sweep else -r):.1f} {ground}"

    # Of the lengths of codes, one in ten is shorter than the first and one in ten longer than the second.
    inner, outer = 3.052, 4.852
    (x1, y1), (x2, y2), straight, round_ = (at(code) for code in codes)
    names = ("first code", "second code", "on the line", "on the sphere")
    corners = ((420, 2), (530, 2), (420, 130), (530, 130))
    pictures = zip(names, images, corners, strict=True)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 256">
<!-- Written by tools/stills.py. -->
<path class="gm-w-shell" d="M{middle - unit * outer:.1f} {ground}{half(outer, 1)}H{middle + unit * inner:.1f}\
{half(inner, 0)}Z"/>
<g class="gm-axis"><line x1="0" x2="{width}" y1="{ground}" y2="{ground}"/>\
{ticks(range(-6, 7, 2), lambda v: middle + unit * v, ground).replace("−", "")}</g>
<text class="gm-m-name gm-t-prior" text-anchor="middle" x="{middle}" y="{ground - unit * outer - 8:.1f}">\
8 of 10 codes end in the band</text>
<path class="gm-w-spoke" d="{line([(middle, ground), straight])}"/>
<path class="gm-w-line" d="{line([(x1, y1), (x2, y2)])}"/>
<path class="gm-w-sphere" d="{line(at(code) for code in ways[1])}"/>
<circle class="gm-w-end" cx="{x1:.1f}" cy="{y1:.1f}" r="5"/><circle class="gm-w-end" cx="{x2:.1f}" cy="{y2:.1f}" r="5"/>
<text text-anchor="middle" x="{x1:.1f}" y="{y1 - 12:.1f}">first</text>
<text text-anchor="middle" x="{x2:.1f}" y="{y2 - 12:.1f}">second</text>
<circle class="gm-w-dot" cx="{straight[0]:.1f}" cy="{straight[1]:.1f}" r="6"/>
<circle class="gm-handle-dot" cx="{round_[0]:.1f}" cy="{round_[1]:.1f}" r="7"/>
{"".join(picture(name, image, *corner, size) for name, image, corner in pictures)}
</svg>
"""


def dif_forward() -> str:
    """The start of the figure in book/assets/js/live/dif-forward.js: t = 7 of 20, x_t = -0.1, x_0 = 1."""
    schedule = diffusion.cosine_schedule(20)
    t, xt, x0 = 7, -0.1, 1.0
    f64 = torch.float64
    mixture = GaussianMixture(
        torch.tensor([0.3, 0.7], dtype=f64),
        torch.tensor([[-1.0], [1.0]], dtype=f64),
        torch.full((2, 1, 1), 0.04, dtype=f64),
    )
    width, left, right, zero, gap, unit, top, base = 640, 34, 634, 88, 10, 48, 330, 480
    grid = torch.linspace(-3.2, 3.2, 201, dtype=f64)[:, None]

    def at(x: float) -> float:
        return left + (x + 3.2) / 6.4 * (right - left)

    def row(s: int) -> float:
        return zero + gap * s

    def marginal(s: int) -> torch.Tensor:
        if s == 0:
            return mixture.log_prob(grid).exp()
        return mixture.log_marginal(grid, torch.full((len(grid),), s), schedule).exp()

    def normal(mean: torch.Tensor, var: torch.Tensor) -> torch.Tensor:
        return log_normal(grid, mean.expand_as(grid), var.log().expand_as(grid)).exp()

    end, start = torch.tensor([[xt]], dtype=f64), torch.tensor([[x0]], dtype=f64)
    step = mixture.reverse_step(end, torch.tensor([t]), schedule)
    parts = zip(step.weights[0], step.means[0], step.covariances[0], strict=True)
    posterior = diffusion.q_posterior(start, end, torch.tensor([t]), schedule)
    four = {
        "alone": marginal(t - 1),
        "image": normal(*diffusion.q_mean_var(start, torch.tensor([t - 1]), schedule)),
        "step": sum(weight * normal(mean, var) for weight, mean, var in parts),
        "posterior": normal(*posterior),
    }
    highest = 1.08 * max(density.max().item() for density in four.values())

    def y(p: float) -> float:
        return base - p / highest * (base - top)

    def curve(density: torch.Tensor, height: Callable[[float], float], every: int = 1) -> str:
        points = zip(grid[::every, 0].tolist(), density[::every].tolist(), strict=True)
        return line((at(x), height(p)) for x, p in points)

    def ridge(s: int) -> str:
        return curve(marginal(s), lambda p: row(s) - unit * p, every=2)

    # Between x_0 and x_t: for each time s the posterior in a schedule of two steps, to s and from there to t.
    means, sds = [x0], [0.0]
    for s in range(1, t):
        jump = diffusion.Schedule(
            torch.stack(
                [
                    torch.tensor(0, dtype=f64),
                    1 - schedule.alpha_bar[s],
                    1 - schedule.alpha_bar[t] / schedule.alpha_bar[s],
                ]
            )
        )
        mean, var = diffusion.q_posterior(start, end, torch.tensor([2]), jump)
        means.append(mean.item())
        sds.append(var.sqrt().item())
    means, sds = [*means, xt], [*sds, 0.0]
    edges = [
        [(at(m + side * sd), row(s)) for s, (m, sd) in enumerate(zip(means, sds, strict=True))] for side in (-1, 1)
    ]
    swatches = "".join(
        f'<path class="gm-f-{name}" d="{line([(x, 522), (x + 28, 522)])}"/><text x="{x + 34}" y="526">{text}</text>'
        for x, name, text in (
            (8, "alone", "x one step earlier"),
            (172, "image", "given x₀"),
            (286, "step", "given xₜ"),
            (400, "posterior", "given both"),
        )
    )
    curves = "".join(f'<path class="gm-f-{name}" d="{curve(density, y)}"/>' for name, density in four.items())
    times = "".join(f'<text class="gm-axis-last" x="{left - 8}" y="{row(s) + 4}">{s}</text>' for s in range(0, 21, 5))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 558">
<!-- Written by tools/stills.py. -->
{"".join(f'<path class="gm-f-ridge" d="{ridge(s)}"/>' for s in range(21))}
<g class="gm-axis">{times}<text class="gm-axis-name" x="{left - 8}" y="{zero - 18}">t</text>\
<line x1="{left}" x2="{right}" y1="{base}" y2="{base}"/>{ticks(range(-3, 3), at, base)}\
<text class="gm-axis-name" x="{right}" y="{base + 18}">x</text></g>
<text x="{left}" y="14">density of x at each time t</text>
<text x="{left}" y="{top - 10}">four densities of x one step earlier</text>
<path class="gm-f-before" d="{ridge(t - 1)}"/>
<path class="gm-f-band" d="{line([*edges[0], *reversed(edges[1])])}Z"/>
<path class="gm-f-way" d="{line((at(mean), row(s)) for s, mean in enumerate(means))}"/>
<path class="gm-g-half" d="{line([(at(xt), row(t)), (at(xt), base)])}"/>
<circle class="gm-f-dot" cx="{at(means[t - 1]):.1f}" cy="{row(t - 1)}" r="3.5"/>
<circle class="gm-f-dot" cx="{at(x0):.1f}" cy="{zero}" r="6" style="fill: var(--gm-data)"/>
<circle class="gm-f-dot" cx="{at(xt):.1f}" cy="{row(t)}" r="6" style="fill: var(--gm-latent)"/>
<text class="gm-f-name-x0" x="{at(x0) + 12:.1f}" y="{zero - 8}">x₀</text>
<text class="gm-f-name-xt" x="{at(xt) - 12:.1f}" y="{row(t) + 5}" text-anchor="end">xₜ</text>
{curves}
{swatches}
<text class="gm-b-caption" x="8" y="552">at t = {t}, xₜ = {signed(xt)}, x₀ = {x0:g}: given both, mean \
{signed(f"{means[t - 1]:.3f}")} and standard deviation {sds[t - 1]:.3f}</text>
</svg>
"""


def dif_schedules() -> str:
    """The start of the figure in book/assets/js/live/dif-schedules.js: t = 300 of 1000 of both schedules."""
    T, t = 1000, 300
    schedules = {"linear": diffusion.linear_schedule(T), "cosine": diffusion.cosine_schedule(T)}
    width, left, right, bottom = 640, 40, 480, 414

    def at(time: float) -> float:
        return left + time / T * (right - left)

    def panel(
        table: Callable[[diffusion.Schedule], torch.Tensor], top: int, base: int, low: float, high: float, text: str,
        marks: dict[float, str], rules: Sequence[float] = (),
    ) -> str:  # fmt: skip
        log = low < 0

        def height(value: float) -> float:
            level = math.log10(value) if log else value
            return base - (max(level, low) - low) / (high - low) * (base - top)

        drawn = [
            f'<text x="{left}" y="{top - 10}">{text}</text>'
            f'<g class="gm-axis"><line x1="{left}" x2="{right}" y1="{base}" y2="{base}"/>'
            f'<line x1="{left}" x2="{left}" y1="{top}" y2="{base}"/>'
        ]
        for value, mark in marks.items():
            drawn.append(f'<text class="gm-axis-last" x="{left - 6}" y="{height(value) + 4:.1f}">{mark}</text>')
        drawn.append("</g>")
        for level in (f"{height(rule):.1f}" for rule in rules):
            drawn.append(f'<line class="gm-p-rule" x1="{left}" x2="{right}" y1="{level}" y2="{level}"/>')
        for name, schedule in schedules.items():
            values = table(schedule).tolist()
            points = [(at(s), height(values[s])) for s in range(5, T + 1, 5)]
            drawn.append(f'<path class="gm-s-{name}" d="{line([(at(1), height(values[1])), *points])}"/>')
            drawn.append(f'<circle class="gm-s-at-{name}" cx="{at(t):.1f}" cy="{height(values[t]):.1f}" r="4"/>')
        return "".join(drawn)

    first = 2 * data.digits("train").images[:1].double() - 1  # (1, 1, 8, 8)
    eps = torch.tensor(pixel_noise(), dtype=torch.float64).reshape(1, 1, 8, 8)
    noisy = {n: diffusion.q_sample(first, torch.tensor([t]), eps, s)[0, 0] for n, s in schedules.items()}
    pictures = "".join(
        picture(name, ((image + 1) / 2).clamp(0, 1), 520, top, 14)
        for (name, image), top in zip(noisy.items(), (70, 230), strict=True)
    )
    ratios = {1e-6: "10⁻⁶", 1e-3: "10⁻³", 1: "1", 1e3: "10³"}
    weights = {1e-4: "10⁻⁴", 1e-2: "10⁻²", 1: "1", 100: "100"}
    kinds = '<tspan class="gm-t-data">linear</tspan>, <tspan class="gm-t-q">cosine</tspan>'
    said = ", ".join(f"{schedule.alpha_bar[t].item():.3f} ({name})" for name, schedule in schedules.items())
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 474">
<!-- Written by tools/stills.py. -->
{panel(lambda s: s.alpha_bar, 24, 124, 0, 1, "the image’s share, ᾱ", {0: "0", 0.5: "½", 1: "1"})}
{panel(lambda s: s.snr, 164, 274, -6, 5, "signal-to-noise ratio", ratios, (1, 1e-3))}
{panel(diffusion.loss_weight, 314, bottom, -4, 3, "weight λ of step t in the bound", weights)}
<line class="gm-s-cursor" x1="{at(t):.1f}" x2="{at(t):.1f}" y1="24" y2="{bottom}"/>
<text x="{right}" y="14" text-anchor="end">{kinds}</text>
<g class="gm-axis">{ticks(range(200, T + 1, 200), at, bottom)}\
<text class="gm-axis-name" x="{left - 6}" y="{bottom + 18}">t</text></g>
{pictures}
<text class="gm-b-caption" x="8" y="466">at t = {t} the image’s share is {said}</text>
</svg>
"""


def page_noise(seed: int, n: int) -> torch.Tensor:
    """The first n normal draws of book/assets/js/live/dif.js, (n,): mulberry32, and one of Box and Muller's two."""
    mask, draws = 2**32 - 1, []
    state = seed
    for _ in range(2 * n):
        state = state + 0x6D2B79F5 & mask
        mixed = (state ^ state >> 15) * (state | 1) & mask
        mixed = (mixed + ((mixed ^ mixed >> 7) * (mixed | 61) & mask) & mask) ^ mixed
        draws.append((mixed ^ mixed >> 14) / 2**32)
    pairs = zip(draws[::2], draws[1::2], strict=True)
    return torch.tensor(
        [math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v) for u, v in pairs], dtype=torch.float64
    )


def dif_cloud() -> str:
    """The start of the figure in book/assets/js/live/dif-cloud.js: 10 steps, eta = 0, 200 points."""
    n, steps, reach, side, trails = 200, 10, 2, 312, 40
    mixture, schedule = toy_mixture("eight_gaussians"), pretrained.SCHEDULES["diffusion_2d"]
    xT = page_noise(3, 2 * n).reshape(n, 2)
    network, exact = pretrained.load("diffusion_2d").double(), mixture.denoiser(schedule)

    def plane(left: float, name: str, clouds: Sequence[torch.Tensor]) -> str:
        def at(point: Sequence[float]) -> Point:
            return left + (point[0] + reach) / (2 * reach) * side, 1 + (reach - point[1]) / (2 * reach) * side

        modes = "".join(
            f'<circle class="gm-d-mode" cx="{x:.1f}" cy="{y:.1f}" r="{0.15 * side / (2 * reach):.1f}"/>'
            for x, y in map(at, mixture.means.tolist())
        )
        ways = torch.stack(list(clouds), dim=1).tolist()  # of each point, all its places
        paths = "".join(line(at(place) for place in way) for way in ways[:trails])
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in (at(way[-1]) for way in ways))
        return (
            f'<svg x="{left}" y="1" width="{side}" height="{side}" viewBox="{left} 1 {side} {side}">{modes}'
            f'<path class="gm-d-trails" d="{paths}"/><path class="gm-d-dots" d="{dots}"/></svg>'
            f'<rect class="gm-m-frame" x="{left}" y="1" width="{side}" height="{side}"/>'
            f'<text x="{left + 8}" y="19">{name}</text>'
        )

    planes, said = [], []
    for left, name, denoiser in ((1, "the network", network), (327, "the exact average", exact)):
        visited: dict[int, torch.Tensor] = {}
        x = diffusion.ddim_sample(
            denoiser, (n, 2), schedule, steps, clip=(-1.5, 1.5), xT=xT, on_step=visited.__setitem__
        )
        planes.append(plane(left, name, list(visited.values())))
        _, quality = metrics.modes_covered(x, mixture.means, std=0.05)
        said.append(f"{100 * quality:.1f} % with {name}")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 348">
<!-- Written by tools/stills.py. -->
{"".join(planes)}
<text class="gm-b-caption" x="1" y="340">share of the points in a circle after {steps} steps: {", ".join(said)}</text>
</svg>
"""


def mosaic(image: torch.Tensor, left: float, top: float, size: float) -> str:
    """Pixels in 32 levels of grey, values from -1 to 1, not-a-number where there is none; a path for each level."""
    levels = (15.5 * (image.clamp(-1, 1) + 1)).round()
    paths = []
    for level in range(32):
        cells = "".join(f"M{x} {y}h1v1h-1z" for y, x in (levels == level).nonzero().tolist())
        grey = f"{round(level * 255 / 31):02x}"
        paths.append(f'<path fill="#{3 * grey}" d="{cells}"/>' if cells else "")
    transform = f"translate({left:.1f} {top:.1f}) scale({size:.3f})"
    return f'<g shape-rendering="crispEdges" transform="{transform}">{"".join(paths)}</g>'


def dif_digit() -> str:
    """The start of the figure in book/assets/js/live/dif-digit.js: a 5 noised to t = 120, denoised to t = 60."""
    digit, t0, t, columns = 5, 120, 60, 11
    model, schedule = pretrained.load("diffusion_digits").double(), pretrained.SCHEDULES["diffusion_digits"]
    images, labels = data.digits("test")
    x0 = 2 * images[labels == digit][:1].double() - 1  # (1, 1, 8, 8)
    xt = diffusion.q_sample(x0, torch.tensor([t0]), page_noise(1, 64).reshape(1, 1, 8, 8), schedule)
    noisy, guesses = {}, {}
    for s in range(t0, 0, -10):
        now, before = torch.tensor([s]), torch.tensor([s - 10])
        with torch.no_grad():
            guesses[s] = diffusion.predict_x0(xt, now, model(xt, now), schedule).clamp(-1, 1)
        noisy[s] = xt
        eps_hat = diffusion.eps_from_x0(xt, now, guesses[s], schedule)
        xt = diffusion.ddim_step(xt, now, before, eps_hat, torch.zeros_like(xt), schedule)
    noisy[0] = guesses[0] = xt

    left, cell, top = 26, 56, 168
    strip = torch.full((17, 9 * columns - 1), math.nan)
    marks = []
    for i in range(columns):
        wanted = t0 * (columns - 1 - i) / (columns - 1)
        shown = min(noisy, key=lambda s: (abs(s - wanted), -s))  # of two that are as near the earlier step
        for row, image in enumerate((noisy[shown], guesses[shown])):
            strip[9 * row : 9 * row + 8, 9 * i : 9 * i + 8] = image[0, 0]
        marks.append(f'<text x="{left + (i + 4 / 9) * cell:.1f}" y="{top + 2 * cell + 14}">{wanted:.0f}</text>')
    frame = left + round((1 - t / t0) * (columns - 1)) * cell - 2
    three = {"the digit x₀": x0, f"noised, at t = {t}": noisy[t], "the guess x̂₀": guesses[t]}
    pictures = "".join(
        f'{mosaic(image[0, 0], 130 + 140 * i, 1, 15)}<text class="gm-p-name" x="{130 + 140 * i}" y="138">{name}</text>'
        for i, (name, image) in enumerate(three.items())
    )
    far = (guesses[t] - x0).square().mean().sqrt().item()
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 334">
<!-- Written by tools/stills.py. -->
{pictures}
{mosaic(strip, left, top, cell / 9)}
<text x="0" y="{top + 0.55 * cell:.1f}">xₜ</text><text x="0" y="{top + 1.55 * cell:.1f}">x̂₀</text>
<text x="0" y="{top + 2 * cell + 14}">t</text>
<g class="gm-axis">{"".join(marks)}</g>
<rect class="gm-i-now" x="{frame}" y="{top - 2}" width="{cell * 8 / 9 + 4:.1f}" height="{cell * 17 / 9 + 4:.1f}"/>
<text class="gm-b-caption" x="0" y="326">a {digit} noised up to t = {t0}; at t = {t} the guess \
differs from it by {far:.2f}</text>
</svg>
"""


DRAWINGS = {
    "elbo-gap": elbo_gap,
    "reparameterization": reparameterization,
    "manifold": manifold,
    "gan-game": gan_game,
    "gan-supports": gan_supports,
    "gan-walk": gan_walk,
    "dif-forward": dif_forward,
    "dif-schedules": dif_schedules,
    "dif-cloud": dif_cloud,
    "dif-digit": dif_digit,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args(arguments)
    STILLS.mkdir(parents=True, exist_ok=True)
    stale = 0
    for name, draw in DRAWINGS.items():
        path, svg = STILLS / f"{name}.svg", draw()
        if not options.check:
            path.write_text(svg, encoding="utf-8")
            print(f"wrote {path}")
        elif not path.is_file() or path.read_text(encoding="utf-8") != svg:
            print(f"{path} is out of date: run python tools/stills.py", file=sys.stderr)
            stale += 1
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

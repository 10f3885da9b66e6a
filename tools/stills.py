"""Draw the stills of the live figures, the SVG that print and a browser without JavaScript show.

    python tools/stills.py            writes book/assets/stills/*.svg
    python tools/stills.py --check    writes nothing; exit status 1 if a file differs from what would be written

The numbers come from `genmodels`, the shapes from here; the inks are classes of book/assets/css/book.css.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from genmodels.gaussian import kl_normal, log_normal
from genmodels.vae import LinearGaussianVAE

STILLS = Path(__file__).resolve().parents[1] / "book" / "assets" / "stills"


def elbo_gap() -> str:
    """The start of the figure in book/assets/js/live/elbo-gap.js: w = 1, s2 = 0.5, x = 1.5, q = N(-0.6, 0.9²)."""
    model = LinearGaussianVAE(torch.ones(1, 1, dtype=torch.float64), noise_var=0.5)
    x = torch.tensor([[1.5]], dtype=torch.float64)
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
        return "M" + "L".join(f"{at(zi):.1f} {bottom - p / highest * (bottom - top):.1f}" for zi, p in points)

    ticks = "".join(
        f'<line x1="{at(v):.1f}" x2="{at(v):.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        + (f'<text x="{at(v):.1f}" y="{bottom + 18}">{str(v).replace("-", "−")}</text>' if abs(v) < 4 else "")
        for v in range(-4, 5)
    )

    def nats(value: float) -> float:
        return left + (value + 10) / 10 * (right - left)

    scale = "".join(
        f'<line x1="{nats(v):.1f}" x2="{nats(v):.1f}" y1="316" y2="320"/>'
        f'<text x="{nats(v):.1f}" y="334">{str(v).replace("-", "−")}</text>'
        for v in range(-10, 0, 2)
    ).replace("<text", '<text class="gm-axis-first"', 1)
    number = "{:.3f}".format
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 372">
<!-- Written by tools/stills.py. -->
<g class="gm-axis"><line x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>{ticks}\
<text class="gm-axis-name" x="{right - 2}" y="{bottom + 18}">z</text></g>
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


DRAWINGS = {"elbo-gap": elbo_gap}


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

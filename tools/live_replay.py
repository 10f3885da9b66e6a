"""Record the two runs that the live figure `gan-replay` plays: eight Gaussians, Adam's first moment at 0.5 and at 0.9.

    python tools/live_replay.py            trains both (15 s), and writes book/assets/js/live/gan-replay-data.js and,
                                           from it, the figure's still, book/assets/stills/gan-replay.svg
    python tools/live_replay.py --check    writes nothing; exit status 1 if the files do not hold these runs

They are the runs of the chapter on collapse. A game magnifies the last bit of a sum, and another machine may add in
another order: only the beginnings of two recordings agree. So --check compares the settings, the data and the first
20 steps, each number within what it was rounded to. To be run anew when `fit_gan`, the networks or the toy have
changed.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import sys
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

import torch
from torch import Tensor

from genmodels import data, gan, metrics, nets, train

ASSETS = Path(__file__).resolve().parents[1] / "book" / "assets"
SCRIPT, STILL = ASSETS / "js" / "live" / "gan-replay-data.js", ASSETS / "stills" / "gan-replay.svg"
LETTERS = ascii_uppercase + ascii_lowercase + digits + "+/"  # 64: one for each level of D, in the order of base64
MOMENTS = (0.5, 0.9)
EVERY, LAST = 10, 1500  # a frame each so many steps
LIMIT = 2.0  # the picture is [-LIMIT, LIMIT]²
CELLS, POINTS, JUDGED = 32, 128, 2500  # of the field along a side; drawn; counted, as in the chapter
STD, AT_LEAST = 0.05, 20  # of a mode; samples that cover it


def centres() -> Tensor:
    angle = 2 * math.pi * torch.arange(8) / 8
    return torch.stack([angle.cos(), angle.sin()], dim=1)  # (8, 2)


def grid() -> Tensor:
    """The middles of the field's cells, row by row from the top: (CELLS², 2)."""
    middles = (torch.arange(CELLS) + 0.5) / CELLS * 2 * LIMIT - LIMIT
    y, x = torch.meshgrid(-middles, middles, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


@torch.no_grad()
def frame(generator: torch.nn.Module, discriminator: torch.nn.Module, x: Tensor, z: Tensor) -> dict:
    """What is seen of the two networks at one moment. The numbers are means over JUDGED data and samples."""
    samples = generator(z)
    real_logits, fake_logits = discriminator(x[:JUDGED]), discriminator(samples)
    covered = [metrics.modes_covered(samples, centre[None], STD, AT_LEAST).covered for centre in centres()]
    return {
        "field": torch.sigmoid(discriminator(grid())).reshape(CELLS, CELLS),
        "samples": samples[:POINTS],
        "covered": sum(one << mode for mode, one in enumerate(covered)),  # a bit for each mode
        "d_real": torch.sigmoid(real_logits).mean().item(),
        "d_fake": torch.sigmoid(fake_logits).mean().item(),
        "loss_d": gan.discriminator_loss(real_logits, fake_logits).item(),
        "loss_g": gan.generator_loss(fake_logits).item(),
    }


def train_and_watch(beta_1: float, last: int = LAST) -> list[dict]:
    """The chapter's run, and a frame of it after 0, EVERY, ... steps."""
    x = toy()
    z = torch.randn(JUDGED, 8, generator=torch.Generator().manual_seed(9))
    generator, discriminator = nets.mlp_generator(latent_dim=8), nets.mlp_discriminator(seed=100)
    settings = train.GANSettings(batch_size=256, learning_rate=4e-3, discriminator_learning_rate=4e-3, beta_1=beta_1)
    frames: list[dict] = []
    steps = iter(range(last))

    def watched(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        # Asked for once at the beginning of each step, when nothing of that step has been learned yet.
        if next(steps) % EVERY == 0:
            frames.append(frame(generator, discriminator, x, z))
        return gan.discriminator_loss(real_logits, fake_logits)

    train.fit_gan(generator, discriminator, x, 8, settings, discriminator_loss=watched, max_steps=last, progress=False)
    return [*frames, frame(generator, discriminator, x, z)]


def toy() -> Tensor:
    return data.toy2d("eight_gaussians", 8192, torch.Generator().manual_seed(0))


def places(points: Tensor) -> Tensor:
    """Coordinates as whole numbers, 1 to 254 in the picture; 0 and 255 are outside."""
    return ((points + LIMIT) / (2 * LIMIT) * 255).round().clamp(0, 255).long()


def levels(field: Tensor) -> Tensor:
    return (field * 63).round().long()


def pack_places(whole: Tensor) -> str:
    """(F, N, 2) as bytes in base64: the first frame, then what each adds to the one before it, modulo 256."""
    steps = torch.diff(whole, dim=0, prepend=torch.zeros_like(whole[:1])) % 256
    return base64.b64encode(steps.to(torch.uint8).numpy().tobytes()).decode()


def pack_levels(whole: Tensor) -> str:
    """(F, CELLS, CELLS) as a letter for each cell: what it adds to left + above - above left, modulo 64.

    A smooth field leaves mostly small numbers, and a file of few different letters is compressed well.
    """
    padded = torch.nn.functional.pad(whole, (1, 0, 1, 0))
    left, above, corner = padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, :-1, :-1]
    return "".join(LETTERS[step] for step in ((whole - left - above + corner) % 64).flatten().tolist())


def unpack_places(text: str, points: int) -> Tensor:
    """The inverse of ``pack_places``."""
    steps = torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8).reshape(-1, points, 2)
    return steps.long().cumsum(dim=0) % 256


def unpack_levels(text: str) -> Tensor:
    """The inverse of ``pack_levels``."""
    steps = torch.tensor([LETTERS.index(letter) for letter in text]).reshape(-1, CELLS, CELLS)
    return steps.cumsum(dim=1).cumsum(dim=2) % 64


CURVES = ("d_real", "d_fake", "loss_d", "loss_g")


def record(last: int = LAST) -> dict:
    runs = []
    for beta_1 in MOMENTS:
        frames = train_and_watch(beta_1, last)
        runs.append(
            {
                "beta_1": beta_1,
                "field": pack_levels(torch.stack([levels(f["field"]) for f in frames])),
                "samples": pack_places(torch.stack([places(f["samples"]) for f in frames])),
                "covered": [f["covered"] for f in frames],
                **{name: [round(f[name], 3) for f in frames] for name in CURVES},
            }
        )
    return {
        "every": EVERY,
        "limit": LIMIT,
        "cells": CELLS,
        "points": POINTS,
        "std": STD,
        "data": pack_places(places(toy()[None, :POINTS])),
        "runs": runs,
    }


def script(contents: dict) -> str:
    return (
        "// Written by tools/live_replay.py: two runs of a generator and a discriminator on eight Gaussians.\n"
        "window.genmodelsLive = window.genmodelsLive || {};\n"
        f'window.genmodelsLive["gan-replay-data"] = {json.dumps(contents, separators=(",", ":"))};\n'
    )


def read() -> dict:
    """What the file holds. Raises OSError or ValueError if it is not there or is not one of these."""
    return json.loads(SCRIPT.read_text(encoding="utf-8").split("] = ", 1)[1].rstrip().removesuffix(";"))


def differences(found: dict, fresh: dict) -> list[str]:
    """What of a fresh recording, which may be shorter, is not in the one that was found."""
    wrong = [name for name in fresh if name != "runs" and found[name] != fresh[name]]
    if len(found["runs"]) != len(fresh["runs"]):
        return [*wrong, "runs"]
    for old, new in zip(found["runs"], fresh["runs"], strict=True):
        where = f" with beta_1={new['beta_1']}"
        n = len(new["covered"])
        if len(old["covered"]) != 1 + LAST // EVERY or old["beta_1"] != new["beta_1"]:
            wrong.append("frames" + where)
            continue
        pairs = {
            "field": (unpack_levels(old["field"])[:n], unpack_levels(new["field"]), 1),
            "samples": (unpack_places(old["samples"], POINTS)[:n], unpack_places(new["samples"], POINTS), 1),
            "covered": (torch.tensor(old["covered"][:n]), torch.tensor(new["covered"]), 0),
            **{name: (torch.tensor(old[name][:n]), torch.tensor(new[name]), 0.0015) for name in CURVES},
        }
        wrong += [name + where for name, (one, other, within) in pairs.items() if ((one - other).abs() > within).any()]
    return wrong


def still(contents: dict) -> str:
    """The last frames of both runs, side by side: an SVG like those of tools/stills.py."""
    side, top = 300, 24
    cell = side / CELLS

    def at(places: Tensor) -> list[tuple[float, float]]:
        """Of bytes (N, 2), those within the picture, as places in it."""
        inside = places[((places > 0) & (places < 255)).all(dim=1)]
        return [(x * side / 255, side - y * side / 255) for x, y in inside.tolist()]

    def dots(places: Tensor) -> str:
        return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in at(places))

    def tints(field: Tensor) -> str:
        """A path for each of six strengths of both opinions, along the rows: cells that are alike are one rectangle."""
        strength = ((2 * field / 63 - 1) * 6).round().long().tolist()  # (CELLS, CELLS), from -6 to 6
        paths: dict[int, list[str]] = {}
        for y, row in enumerate(strength):
            start = 0
            for x in range(1, CELLS + 1):
                if x < CELLS and row[x] == row[start]:
                    continue
                paths.setdefault(row[start], []).append(f"M{start} {y}h{x - start}v1h{start - x}z")
                start = x
        return "".join(
            f'<path class="gm-p-says-{"real" if level > 0 else "fake"}" fill-opacity="{abs(level) / 10}" '
            f'd="{"".join(parts)}"/>'
            for level, parts in sorted(paths.items())
            if level
        )

    def panel(run: dict, left: int) -> str:
        covered = [mode for mode in range(8) if run["covered"][-1] >> mode & 1]
        rings = "".join(
            f'<circle class="gm-p-mode gm-p-covered" cx="{(1 + x / LIMIT) * side / 2:.1f}" '
            f'cy="{(1 - y / LIMIT) * side / 2:.1f}" r="{3 * STD * side / (2 * LIMIT):.1f}"/>'
            for x, y in centres()[covered].tolist()
        )
        samples = dots(unpack_places(run["samples"], POINTS)[-1])
        numbers = f"D(x) {run['d_real'][-1]:.2f}, D(G(z)) {run['d_fake'][-1]:.2f}"
        losses = f"of D {run['loss_d'][-1]:.2f}, of G {run['loss_g'][-1]:.2f}"
        return f"""<g transform="translate({left} 0)">
<text y="15">first moment {run["beta_1"]}: {len(covered)} of 8 modes covered</text>
<g transform="translate(0 {top})">
<g transform="scale({cell})" shape-rendering="crispEdges">{tints(unpack_levels(run["field"])[-1])}</g>
<rect class="gm-p-frame" width="{side}" height="{side}"/>
<path class="gm-p-data" d="{dots(unpack_places(contents["data"], POINTS)[0])}"/>
<path class="gm-p-halo" d="{samples}"/><path class="gm-p-samples" d="{samples}"/>
{rings}
</g>
<text y="{top + side + 20}">{numbers}</text>
<text y="{top + side + 38}">loss {losses}</text>
</g>"""

    panels = "\n".join(panel(run, i * 340) for i, run in enumerate(contents["runs"]))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 370">
<!-- Written by tools/live_replay.py. -->
{panels}
</svg>
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # networks this small are slower on two
    if not options.check:
        contents = record()
        SCRIPT.write_text(script(contents), encoding="utf-8")
        STILL.write_text(still(contents), encoding="utf-8")
        print(f"wrote {SCRIPT}\nwrote {STILL}")
        return 0
    try:
        found = read()
        wrong = differences(found, record(last=2 * EVERY))
        if STILL.read_text(encoding="utf-8") != still(found):
            wrong.append(STILL.name)
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        wrong = [str(error)]
    if wrong:
        print(f"{SCRIPT} is out of date ({', '.join(wrong)}): run python tools/live_replay.py", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

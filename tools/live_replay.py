"""Record the two runs that the live figure `gan-replay` plays: eight Gaussians, Adam's first moment at 0.5 and at 0.9.

    python tools/live_replay.py            trains both (15 s) and writes book/assets/js/live/gan-replay-data.js
    python tools/live_replay.py --check    writes nothing; exit status 1 if the file does not hold these runs

They are the runs of the chapter on collapse. A game magnifies the last bit of a sum, and another machine may add in
another order: only the beginnings of two recordings agree. So --check compares the settings, the data and the first
20 steps, each number within what it was rounded to. To be run anew when `fit_gan`, the networks or the toy have changed.
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

SCRIPT = Path(__file__).resolve().parents[1] / "book" / "assets" / "js" / "live" / "gan-replay-data.js"
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
    settings = train.GANSettings(
        batch_size=256, learning_rate=4e-3, discriminator_learning_rate=4e-3, beta_1=beta_1
    )
    frames: list[dict] = []
    steps = iter(range(last))

    def watched(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        # Asked for once at the beginning of each step, when nothing of that step has been learned yet.
        if next(steps) % EVERY == 0:
            frames.append(frame(generator, discriminator, x, z))
        return gan.discriminator_loss(real_logits, fake_logits)

    train.fit_gan(
        generator, discriminator, x, 8, settings, discriminator_loss=watched, max_steps=last, progress=False
    )
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
        wrong += [
            name + where for name, (one, other, within) in pairs.items() if ((one - other).abs() > within).any()
        ]
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # networks this small are slower on two
    if not options.check:
        SCRIPT.write_text(script(record()), encoding="utf-8")
        print(f"wrote {SCRIPT}")
        return 0
    try:
        wrong = differences(read(), record(last=2 * EVERY))
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        wrong = [str(error)]
    if wrong:
        print(f"{SCRIPT} is out of date ({', '.join(wrong)}): run python tools/live_replay.py", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Write the numbers that the live figure of the digits' codes needs, from the shipped network.

    python tools/live_weights.py            writes book/assets/js/live/manifold-weights.js
    python tools/live_weights.py --check    writes nothing; exit status 1 if the file is out of date

To be run after `vae_digits_2d` has been trained anew. Numbers are stored as fixed point of 16 bits with one scale for
each array: as long as float16, and closer, because the weights of one layer are of like size.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import sys
from pathlib import Path

import torch
from torch import Tensor

from genmodels import data, pretrained

SCRIPT = Path(__file__).resolve().parents[1] / "book" / "assets" / "js" / "live" / "manifold-weights.js"


def pack(values: Tensor) -> dict:
    """A matrix as whole numbers of 16 bits, low byte first, in base64, and the scale to multiply them by."""
    values = values.detach().double()
    scale = math.ceil(values.abs().max().item() / 32767 * 1e9) / 1e9  # rounded up: the largest must fit
    fixed = (values / scale).round().to(torch.int16)
    return {
        "shape": list(fixed.shape),
        "scale": scale,
        "int16": base64.b64encode(fixed.numpy().astype("<i2").tobytes()).decode(),
    }


def script() -> str:
    # In double precision, so that another machine's order of summation does not reach the rounded numbers.
    model = pretrained.load("vae_digits_2d").double()
    first, second = model.decoder[0], model.decoder[2]
    images, labels = data.digits("test")
    with torch.no_grad():
        codes, _ = model.encode(data.binarize(images).double())  # (359, 2)
    contents = {
        "weights": {
            "W1": pack(first.weight),  # (128, 2)
            "b1": pack(first.bias[None]),
            "W2": pack(second.weight),  # (64, 128)
            "b2": pack(second.bias[None]),
        },
        "codes": pack(codes),
        "classes": "".join(str(label) for label in labels.tolist()),
    }
    return (
        "// Written by tools/live_weights.py: the decoder of vae_digits_2d, and codes of held-out digits.\n"
        "window.genmodelsLive = window.genmodelsLive || {};\n"
        f'window.genmodelsLive["manifold-weights"] = {json.dumps(contents)};\n'
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    options = parser.parse_args(arguments)
    text = script()
    if not options.check:
        SCRIPT.write_text(text, encoding="utf-8")
        print(f"wrote {SCRIPT}")
    elif not SCRIPT.is_file() or SCRIPT.read_text(encoding="utf-8") != text:
        print(f"{SCRIPT} is out of date: run python tools/live_weights.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

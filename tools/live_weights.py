"""Write the numbers that the live figures of the digits' codes need, from the shipped networks.

    python tools/live_weights.py            writes manifold-weights.js and gan-walk-data.js in book/assets/js/live
    python tools/live_weights.py --check    writes nothing; exit status 1 if a file is out of date

To be run after `vae_digits_2d` or `dcgan_digits` has been trained anew. Numbers are stored as fixed point of 16 bits
with one scale for each array: as long as float16, and closer, because the weights of one layer are of like size.
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
from torch import Tensor, nn

from genmodels import data, pretrained

FOLDER = Path(__file__).resolve().parents[1] / "book" / "assets" / "js" / "live"
WALK = (44, 53)  # of the chapter's hundred codes: a 1 and a 9 of usual length between which the two ways differ visibly
LETTERS = ascii_uppercase + ascii_lowercase + digits + "+/"  # those of base64, in their order


def fixed_point(values: Tensor) -> tuple[Tensor, float]:
    """Whole numbers of 16 bits, and the scale to multiply them by."""
    values = values.detach().double()
    scale = math.ceil(values.abs().max().item() / 32767 * 1e9) / 1e9  # rounded up: the largest must fit
    return (values / scale).round().to(torch.int16), scale


def pack(values: Tensor) -> dict:
    """A matrix as whole numbers of 16 bits, low byte first, in base64, and the scale to multiply them by."""
    fixed, scale = fixed_point(values)
    return {
        "shape": list(fixed.shape),
        "scale": scale,
        "int16": base64.b64encode(fixed.numpy().astype("<i2").tobytes()).decode(),
    }


def pack_letters(values: Tensor) -> dict:
    """An array as three letters for each whole number plus 32768: all the first letters, all the second, all the third.

    Longer than ``pack``, but 6 % shorter once the server has compressed it: the first letters are much alike.
    """
    fixed, scale = fixed_point(values)
    positive = (fixed.flatten().long() + 32768).tolist()
    return {
        "shape": list(fixed.shape),
        "scale": scale,
        "letters": "".join(LETTERS[n >> shift & 63] for shift in (12, 6, 0) for n in positive),
    }


def manifold() -> dict:
    """The decoder of vae_digits_2d, and codes of held-out digits."""
    # In double precision, so that another machine's order of summation does not reach the rounded numbers.
    model = pretrained.load("vae_digits_2d").double()
    first, second = model.decoder[0], model.decoder[2]
    images, labels = data.digits("test")
    with torch.no_grad():
        codes, _ = model.encode(data.binarize(images).double())  # (359, 2)
    return {
        "weights": {
            "W1": pack(first.weight),  # (128, 2)
            "b1": pack(first.bias[None]),
            "W2": pack(second.weight),  # (64, 128)
            "b2": pack(second.bias[None]),
        },
        "codes": pack(codes),
        "classes": "".join(str(label) for label in labels.tolist()),
    }


def walk() -> dict:
    """The generator of dcgan_digits, its batch normalisations folded into its layers, and the first two codes."""
    project, _, norm1, _, spread1, norm2, _, spread2, _ = pretrained.load("dcgan_digits").double()
    gain1, shift1 = affine(norm1)
    gain2, shift2 = affine(norm2)
    each = project.out_features // len(gain1)  # 4 pixels of each channel
    gain1, shift1 = gain1.repeat_interleave(each), shift1.repeat_interleave(each)
    z = torch.randn(100, 16, generator=torch.Generator().manual_seed(0))
    return {
        "weights": {
            "W1": pack_letters(project.weight * gain1[:, None]),  # (96 * 2 * 2, 16)
            "b1": pack_letters(project.bias * gain1 + shift1),
            "W2": pack_letters(spread1.weight * gain2[:, None, None]),  # (96, 48, 4, 4)
            "b2": pack_letters(spread1.bias * gain2 + shift2),
            "W3": pack_letters(spread2.weight),  # (48, 1, 4, 4)
            "b3": pack_letters(spread2.bias),
        },
        "codes": [[round(value, 4) for value in z[i].tolist()] for i in WALK],
    }


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch normalisation does in evaluation mode: x * gain + shift, both (C,)."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return gain, norm.bias - norm.running_mean * gain


SCRIPTS = {"manifold-weights": manifold, "gan-walk-data": walk}


def script(name: str) -> str:
    collect = SCRIPTS[name]
    about = " ".join((collect.__doc__ or "").split()).removesuffix(".")
    return (
        f"// Written by tools/live_weights.py: {about[0].lower()}{about[1:]}.\n"
        "window.genmodelsLive = window.genmodelsLive || {};\n"
        f'window.genmodelsLive["{name}"] = {json.dumps(collect())};\n'
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args(arguments)
    stale = 0
    for name in SCRIPTS:
        path, text = FOLDER / f"{name}.js", script(name)
        if not options.check:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is out of date: run python tools/live_weights.py", file=sys.stderr)
            stale += 1
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

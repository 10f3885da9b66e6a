"""Write the numbers that live figures need of the shipped networks, which run in the browser.

    python tools/live_weights.py            writes the scripts named in SCRIPTS below into book/assets/js/live
    python tools/live_weights.py --check    writes nothing; exit status 1 if a file is out of date

To be run after one of these networks has been trained anew. Numbers are stored as fixed point of 16 bits
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


def fixed_point(values: Tensor, bits: int = 16) -> tuple[Tensor, float]:
    """Whole numbers of up to 16 bits, and the scale to multiply them by."""
    values = values.detach().double()
    largest = 2 ** (bits - 1) - 1
    scale = math.ceil(values.abs().max().item() / largest * 1e9) / 1e9  # rounded up: the largest must fit
    return (values / scale).round().to(torch.int16), scale


def pack(values: Tensor) -> dict:
    """A matrix as whole numbers of 16 bits, low byte first, in base64, and the scale to multiply them by."""
    fixed, scale = fixed_point(values)
    return {
        "shape": list(fixed.shape),
        "scale": scale,
        "int16": base64.b64encode(fixed.numpy().astype("<i2").tobytes()).decode(),
    }


def pack_letters(values: Tensor, bits: int = 16) -> dict:
    """An array as three letters for each whole number plus half the range: all the first letters, all the second, ...

    Longer than ``pack``, but 6 % shorter once the server has compressed it: the first letters are much alike. Up to 12
    bits take two letters.
    """
    fixed, scale = fixed_point(values, bits)
    positive = (fixed.flatten().long() + 2 ** (bits - 1)).tolist()
    shifts = (6, 0) if bits <= 12 else (12, 6, 0)
    return {
        "shape": list(fixed.shape),
        "scale": scale,
        **({} if bits == 16 else {"bits": bits}),
        "letters": "".join(LETTERS[n >> shift & 63] for shift in shifts for n in positive),
    }


def pack_rows(values: Tensor, bits: int) -> dict:
    """``pack_letters`` with a scale for each row, so that a row of small weights keeps its digits."""
    largest = values.detach().flatten(1).abs().amax(dim=1).clamp(min=1e-9)
    rows = [round(row, 6) for row in largest.tolist()]
    shape = (-1, *[1] * (values.ndim - 1))
    return {**pack_letters(values / torch.tensor(rows, dtype=values.dtype).reshape(shape), bits), "rows": rows}


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


def cloud() -> dict:
    """The denoiser diffusion_2d: its four layers, the first of which takes a point and its time."""
    layers = [layer for layer in pretrained.load("diffusion_2d").double().body if isinstance(layer, nn.Linear)]
    return {"layers": [{"W": pack_letters(layer.weight), "b": pack_letters(layer.bias)} for layer in layers]}


FINE = ("first", "down", "up", "norm", "last")  # the parts of the U-Net at full resolution: they need 16 bits


def digit() -> dict:
    """The U-Net diffusion_digits, and a held-out digit of each class."""
    parameters = pretrained.load("diffusion_digits").double().named_parameters()
    images, labels = data.digits("test")
    firsts = [int((labels == digit).nonzero()[0]) for digit in range(10)]
    return {
        "weights": {
            name: pack_letters(values)
            if values.ndim == 1
            else pack_rows(values, 16 if name.split(".")[0] in FINE and "ada_gn" not in name else 12)
            for name, values in parameters
        },
        "digits": [(16 * images[first]).flatten().int().tolist() for first in firsts],  # 17 levels of grey
    }


SCRIPTS = {"manifold-weights": manifold, "gan-walk-data": walk, "dif-cloud-data": cloud, "dif-digit-data": digit}


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

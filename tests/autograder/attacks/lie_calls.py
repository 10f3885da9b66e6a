"""Says that the denoiser was asked for tensors of shapes that it does not take, a thousand times.

Exercise: ancestral_sample
Outcome: graded or tampered
Prelude: wire
"""


def ancestral_sample(model, shape, schedule, generator):
    return torch.randn(shape, generator=generator)


def alter(header, body):
    header["tensors"] += [
        {"dtype": "float32", "shape": [2, 7], "requires_grad": True, "parameter": True},
        {"dtype": "int64", "shape": [2], "requires_grad": False, "parameter": False},
    ]
    at = len(header["tensors"]) - 2
    call = ["tuple", ["tensor", at], ["tensor", at + 1], ["none"], ["bool", False], ["bool", False]]
    header["changes"]["networks"] = [[False, ["list", *[call] * 1000]] for _ in header["changes"]["networks"]]
    return header, body + bytes(2 * 7 * 4 + 16)


lie(alter)

"""Says that its step made the weights NaN, of another shape, and no longer trainable.

Exercise: discriminator_step
Outcome: tampered
Prelude: wire
"""


def discriminator_step(*a):
    return 1.0


def alter(header, body):
    header["tensors"].append({"dtype": "float64", "shape": [], "requires_grad": False, "parameter": False})
    header["changes"]["tensors"] = [[len(header["tensors"]) - 1, None, False] for _ in header["changes"]["tensors"]]
    return header, body + struct.pack("d", float("nan"))


lie(alter)

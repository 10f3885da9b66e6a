"""Says that what it was given has become NaN and of another shape.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""


def alter(header, body):
    header["tensors"].append({"dtype": "complex64", "shape": [2, 2, 2], "requires_grad": True, "parameter": True})
    header["changes"]["tensors"] = [[len(header["tensors"]) - 1, None, True]] * 4
    return header, body + bytes(64)


lie(alter)

"""Gives back a hundred thousand tensors, and names one that does not exist.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

about = {"dtype": "float32", "shape": [0], "requires_grad": False, "parameter": False}
claim(tensors=[about] * 100_000, value=["tensor", 100_000], changes=nothing())

"""Says that gradients can flow to it through tensors of whole numbers.

Exercise: kl_normal
Outcome: graded or tampered
Prelude: wire
"""


def alter(header, body):
    about = {"dtype": "int64", "shape": [1], "requires_grad": True, "parameter": True}
    return {**header, "tensors": [about], "value": ["tensor", 0], "node": 12345, "changes": nothing()}, bytes(8)


lie(alter)

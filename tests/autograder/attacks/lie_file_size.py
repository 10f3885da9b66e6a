"""Hands over a file larger than it may be, and says that it is small.

Exercise: digits_weights
Outcome: graded
Prelude: wire
"""


def digits_weights():
    return "digits_vae.safetensors"


honest = student._do_read


def read(header, body, pile):
    pile.add(torch.zeros(30_000_000, dtype=torch.uint8))
    return {"status": "done", "size": 10**18}


student._do_read = read

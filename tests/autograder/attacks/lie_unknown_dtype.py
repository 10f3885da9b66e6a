"""Gives back a tensor of Python objects.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

one_tensor(bytes(24), dtype="object")

"""Gives back a tensor of negative size, whose bytes add up.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

one_tensor(bytes(12), shape=[-3, -1])

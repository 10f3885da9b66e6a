"""Gives back a tensor of a million million numbers, without their bytes.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

one_tensor(shape=[1 << 40])

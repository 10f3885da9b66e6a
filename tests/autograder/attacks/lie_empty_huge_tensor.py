"""Gives back a tensor without numbers, of a size with which no other can be made.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

one_tensor(shape=[0, 1 << 40, 3])

"""Gives back a tensor whose size is NaN.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

one_tensor(bytes(12), shape=[float("nan")])

"""Computes for ever while it is tested, in C, where an interrupt waits.

Exercise: kl_normal
Outcome: timed-out
"""


def kl_normal(*a):
    return pow(3, 10**9) % 7

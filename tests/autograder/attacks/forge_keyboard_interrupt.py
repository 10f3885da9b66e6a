"""Pretends that the instructor pressed Ctrl-C.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(*a):
    raise KeyboardInterrupt

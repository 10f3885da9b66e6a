"""Lets the library answer.

Exercise: kl_normal
Outcome: graded
"""

from genmodels import gaussian


def kl_normal(*a):
    return gaussian.kl_normal(*a)

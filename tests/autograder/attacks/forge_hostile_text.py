"""Raises an exception whose text is no text, ends the process, or is a gigabyte.

Exercise: kl_normal
Outcome: graded
"""


class Hostile(ValueError):
    def __str__(self):
        return "x" * 300_000_000


Hostile.__name__ = "<b>" * 1000


def kl_normal(*a):
    raise Hostile

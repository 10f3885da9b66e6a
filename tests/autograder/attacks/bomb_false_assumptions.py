"""Gives back symbols that are positive and negative at once, and odd floats.

Exercise: gap
Outcome: tampered
Prelude: wire
"""


def gap(x, m, w, s2, v):
    return 1.0


claim(value=["sympy", ["Symbol", "x", {"positive": True, "negative": True}]])

"""Gives back floats that are none.

Exercise: gap
Outcome: graded or tampered
Prelude: wire
"""


def gap(x, m, w, s2, v):
    return 1.0


claim(value=["sympy", ["Pow", ["Float", "nan", 53], ["Float", "1e1000000000", 53]]])

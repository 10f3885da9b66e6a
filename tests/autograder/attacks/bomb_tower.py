"""Gives back a tower of powers: 7 to the 1000th, to the 1000th, to the 1000th.

Exercise: gap
Outcome: graded
Prelude: wire
"""


def gap(x, m, w, s2, v):
    return 1.0


tree = ["Rational", "7", "1"]
for _ in range(6):
    tree = ["Pow", tree, ["Rational", "1000", "1"]]
claim(value=["sympy", tree])

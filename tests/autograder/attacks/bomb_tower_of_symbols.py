"""Gives back a power of symbols, which explodes when numbers are put in.

Exercise: gap
Outcome: graded
Prelude: wire
"""


def gap(x, m, w, s2, v):
    return 1.0


ASSUMED = {k: v for k, v in sympy.Symbol("w", positive=True).assumptions0.items() if type(v) is bool}
tree = ["Symbol", "w", ASSUMED]
for _ in range(6):
    tree = ["Pow", tree, ["Rational", "1000", "1"]]
claim(value=["sympy", ["Pow", ["Symbol", "s2", ASSUMED], tree]])

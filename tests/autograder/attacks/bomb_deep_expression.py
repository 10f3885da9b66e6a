"""Gives back an expression of ten thousand nested logarithms, made in SymPy.

Exercise: gap
Outcome: graded or kernel-died or timed-out
"""


def gap(x, m, w, s2, v):
    import sys

    sys.setrecursionlimit(100_000)
    value = x
    for _ in range(3000):
        value = sympy.log(value + 1, evaluate=False)
    return value

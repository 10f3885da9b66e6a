"""Expressions that a derivation ends in: built of elementary parts, in the symbols that were handed over."""

from collections.abc import Sequence

import sympy

# Exact types, and no others: an integral that is left to do is no derivation, and a class of the answer's own could
# compare as it likes.
_PARTS = {
    sympy.Add,
    sympy.Mul,
    sympy.Pow,
    sympy.log,
    sympy.exp,
    sympy.Symbol,
    sympy.Integer,
    sympy.Rational,
    sympy.Float,
    *(type(number) for number in (sympy.S.Zero, sympy.S.One, sympy.S.NegativeOne, sympy.S.Half, sympy.E, sympy.pi)),
}


def require_expression(got: object, symbols: Sequence[sympy.Symbol], what: str) -> sympy.Expr:
    """``got`` if it is a SymPy expression of powers, exponentials and logarithms; an AssertionError says what else."""
    if not isinstance(got, sympy.Expr):
        raise AssertionError(f"{what} must be a SymPy expression, got {type(got).__name__}")
    # A node is yielded, and so judged, before anything of it is asked.
    for node in sympy.preorder_traversal(got):
        assert type(node) in _PARTS, (
            f"{what} holds {type(node).__name__}: carry out what is left to do (.doit(), .simplify(), .rewrite(log)), "
            "until it is written with +, -, *, /, powers, exp and log alone"
        )
        names = ", ".join(map(str, symbols))
        assert not node.is_Symbol or node in symbols, f"{what} may use {names} as handed over, it has {node} besides"
    return got


def require_value(
    expression: sympy.Expr, point: dict[sympy.Symbol, sympy.Rational], want: float, what: str, tolerance: float = 1e-9
) -> None:
    """Raise AssertionError unless the expression has the value ``want`` at the point."""
    given = ", ".join(f"{symbol} = {value}" for symbol, value in point.items())
    value = sympy.N(expression.subs(point), 30)
    assert value.is_real, f"at {given}\n{what} is {value}, not a real number"
    assert abs(float(value) - want) <= tolerance * (1 + abs(want)), (
        f"at {given}\n{what} is {float(value):.6g}, it must be {want:.6g}"
    )

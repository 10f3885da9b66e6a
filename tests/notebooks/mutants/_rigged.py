"""Objects that answer comparisons as they like: what an attacker hands in for a number, a tensor or an expression."""

import sympy
import torch


class Rigged(torch.Tensor):
    """A tensor that calls every comparison true."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.tensor(True)


def rigged(*shape):
    return torch.zeros(shape, dtype=torch.float64).as_subclass(Rigged)


class EqualNumber(float):
    """A number that compares equal to every other."""

    def __eq__(self, other):
        return True

    def __sub__(self, other):
        return 0.0

    __rsub__ = __sub__
    __hash__ = float.__hash__


class EqualToAll(sympy.Expr):
    """An expression that takes on whatever value is wanted."""

    def subs(self, *arguments, **options):
        return self

    def evalf(self, *arguments, **options):
        return self

    def _eval_evalf(self, prec):
        return sympy.Float(0)

    def __float__(self):
        return 0.0

    def __abs__(self):
        return sympy.Integer(0)

    def __sub__(self, other):
        return sympy.Integer(0)

    __rsub__ = __add__ = __radd__ = __sub__

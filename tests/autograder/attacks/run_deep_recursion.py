"""Recurses until the stack is used up.

Exercise: kl_normal
Outcome: kernel-died or timed-out
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


import sys

sys.setrecursionlimit(1 << 30)


def deeper(n):
    return [deeper(n + 1)] + [max(map(deeper, [n + 1]))]


deeper(0)

"""Prints without end.

Exercise: kl_normal
Outcome: too-much-output
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


while True:
    print("x" * 1000)

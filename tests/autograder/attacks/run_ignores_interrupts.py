"""Computes for ever, and ignores interrupts.

Exercise: kl_normal
Outcome: timed-out
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
while True:
    pass

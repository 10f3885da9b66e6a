"""Gives back gradients of another shape.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_p - logvar_q + (logvar_q.exp() + (mu_q - mu_p) ** 2) / logvar_p.exp() - 1).sum(1)


def alter(header, body):
    for about in header["tensors"] if "at" in header else ():
        about["shape"] = [*about["shape"], 1, 1]
    return header, body


lie(alter)

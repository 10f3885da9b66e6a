"""Makes outputs that are large in every way: many, long, and of many kinds.

Exercise: kl_normal
Outcome: graded or too-much-output
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


from IPython.display import display

for number in range(300):
    display({f"text/x-{number}-{k}": "x" * 100 for k in range(50)}, raw=True)
print("x" * 1_000_000)

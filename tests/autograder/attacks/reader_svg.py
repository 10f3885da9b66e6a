"""Draws pictures that hold scripts, styles and pages from elsewhere.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


from IPython.display import HTML, SVG, display

BAD = "<svg xmlns='http://www.w3.org/2000/svg' onload='steal()'><script>steal()</script><style>*{{}}</style>"
BAD += "<foreignObject><iframe src='http://evil.example/'></iframe></foreignObject><use href='http://evil.example/#x'/></svg>"
display(HTML(BAD.replace("{{}}", "{}")))
display({"image/svg+xml": BAD.replace("{{}}", "{}")}, raw=True)
display({"image/png": "' onerror='steal()"}, raw=True)

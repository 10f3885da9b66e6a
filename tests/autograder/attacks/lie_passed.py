"""Replies with a verdict.

Exercise: kl_normal
Outcome: graded or tampered
Prelude: wire
"""

claim(status="passed", verdict="passed", points=5, value=["bool", True])

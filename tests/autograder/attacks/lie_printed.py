"""Says that it printed a hundred megabytes, and something that is no text.

Exercise: kl_normal
Outcome: graded
Prelude: wire
"""

claim(printed=["x" * 1000] * 10_000)

"""Gives back functions and networks that do not exist, and calls itself by them.

Exercise: kl_normal
Outcome: graded or tampered
Prelude: wire
"""

claim(value=["function", 999_999, "kl_normal"])

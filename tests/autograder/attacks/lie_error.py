"""Says that it raised an error with a giant text and a name that is code.

Exercise: kl_normal
Outcome: graded
Prelude: wire
"""

claim(status="raised", error={"type": "__import__('os')" * 1000, "text": "<script>" * 1_000_000})

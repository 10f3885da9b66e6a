"""Says that it raised, and not what.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

claim(status="raised", error=[])

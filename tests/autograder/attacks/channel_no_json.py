"""Sends a header that is no JSON.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

write(frame(b"{'output': stream}"))

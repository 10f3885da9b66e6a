"""Sends a header that is JSON, but no object.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

write(frame(b"[1, 2, 3]"))

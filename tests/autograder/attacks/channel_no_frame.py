"""Writes bytes to the channel that are no frame.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

write(os.urandom(100_000).replace(b"\0", b"x"))

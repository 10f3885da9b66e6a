"""Gives back more bytes than it says.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

one_tensor(bytes(13))

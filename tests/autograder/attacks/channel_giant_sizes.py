"""Announces a frame of four gigabytes.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

write(frame(b"{}", header_size=0xFFFFFFFF, body_size=0xFFFFFFFF))

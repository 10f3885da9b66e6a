"""Sends a frame byte by byte, so slowly that it never ends.

Exercise: kl_normal
Outcome: timed-out
Prelude: wire
"""

import time

for byte in frame(b'{"output": "stream", "content": {}}' + b" " * 1000):
    write(bytes([byte]))
    time.sleep(0.05)

"""Sends frames as large as they may be, without end.

Exercise: kl_normal
Outcome: timed-out or too-much-output
Prelude: wire
"""

import time

while True:
    write(frame(b'{"output": "stream", "content": {}}', bytes(64_000_000)))

"""Clears its output without end.

Exercise: kl_normal
Outcome: timed-out or too-much-output
Prelude: wire
"""

data = frame(b'{"output": "clear_output", "content": {}}') * 1000
while True:
    write(data)

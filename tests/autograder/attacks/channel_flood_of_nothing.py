"""Sends outputs of no known kind without end; none of them counts as an output.

Exercise: kl_normal
Outcome: timed-out or too-much-output
Prelude: wire
"""

data = frame(b'{"output": "nothing", "content": {}}') * 1000
while True:
    write(data)

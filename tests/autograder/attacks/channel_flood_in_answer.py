"""Sends outputs without end while it is tested.

Exercise: kl_normal
Outcome: timed-out or too-much-output
Prelude: wire
"""


def kl_normal(*a):
    while True:
        write(frame(b'{"output": "nothing", "content": {}}') * 1000)

"""Goes on to send outputs when its time is over, and ignores interrupts.

Exercise: kl_normal
Outcome: timed-out or too-much-output
Prelude: wire
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
data = frame(b'{"output": "stream", "content": {"name": "stdout", "text": ""}}') * 1000
while True:
    write(data)

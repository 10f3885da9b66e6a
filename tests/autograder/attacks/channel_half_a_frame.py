"""Goes away in the middle of a frame.

Exercise: kl_normal
Outcome: kernel-died
Prelude: wire
"""

write(frame(b'{"output": "stream"', header_size=1000))
os._exit(0)

"""Sends a header of a hundred thousand nested lists.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

write(frame(b'{"output": "stream", "content": {"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"))

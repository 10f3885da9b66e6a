"""Replies with frames in which a part is missing, another at each call.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

import itertools

PARTS = itertools.cycle(("status", "value", "changes", "node", "printed"))
lie(lambda header, body: ({k: v for k, v in header.items() if k != part}, body) if (part := next(PARTS)) else None)

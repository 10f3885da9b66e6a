"""Replies a second time, with the right number, after its verdict.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

lie(lambda header, body: (student._channel.__class__.send(student._channel, header, body), (header, body))[1])

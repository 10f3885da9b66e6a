"""Numbers its cells with what is no number of a cell.

Exercise: kl_normal
Outcome: graded
Prelude: wire
"""

honest = student._channel.send
COUNTS = iter([-1, 1 << 70, 1.5, "1", None, [], True] * 100)
student._channel.send = lambda header, *a: honest({**header, "count": next(COUNTS)}, *a)

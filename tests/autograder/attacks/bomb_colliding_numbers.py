"""Puts a dictionary where its answer should stand, whose keys all have one hash.

Exercise: kl_normal
Outcome: graded
Prelude: wire
"""

TREE = ["dict", *[[["int", 1 + number * (2**61 - 1)], ["none"]] for number in range(60_000)]]
honest = student._channel.send


def send(header, *a):
    honest({**header, "value": TREE} if "value" in header else header, *a)


student._channel.send = send

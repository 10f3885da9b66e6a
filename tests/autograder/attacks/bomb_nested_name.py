"""Puts lists where its answer should stand, nested as deeply as can be read.

Exercise: kl_normal
Outcome: graded or tampered
Prelude: wire
"""

TREE = ["none"]
for _ in range(400):
    TREE = ["list", TREE]
honest = student._channel.send


def send(header, *a):
    honest({**header, "value": TREE} if "value" in header else header, *a)


student._channel.send = send

"""Says that the toy network noted things that are no notes.

Exercise: discriminator_step
Outcome: graded or tampered
Prelude: wire
"""

import itertools

NOTES = itertools.cycle((["none"], ["str", "x"], ["list", ["list"]], ["dict", [["int", 1], ["int", 2]]], ["int", 3]))


def discriminator_step(*a):
    return 1.0


def alter(header, body):
    header["changes"]["networks"] = [[True, next(NOTES)] for _ in header["changes"]["networks"]]
    return header, body


lie(alter)

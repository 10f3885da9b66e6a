"""Leaves hooks behind that go on for ever: at exit, at the collection of garbage, at each line.

Exercise: kl_normal
Outcome: timed-out
"""

import atexit
import gc
import sys


class Undead:
    def __del__(self):
        while True:
            pass


def for_ever(*a):
    while True:
        pass


def kl_normal(*a):
    atexit.register(for_ever)
    gc.callbacks.append(for_ever)
    sys.setprofile(for_ever)
    Undead()

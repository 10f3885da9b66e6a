"""Prints without end while it is tested.

Exercise: kl_normal
Outcome: timed-out
"""

import sys


def kl_normal(*a):
    while True:
        print("x" * 1000)
        sys.__stdout__.write("x" * 1000)

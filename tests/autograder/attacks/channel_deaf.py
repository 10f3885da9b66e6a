"""Stops to read, so that what it is asked fills the channel.

Exercise: kl_normal
Outcome: timed-out
Prelude: wire
"""

import time


def receive(*a):
    time.sleep(1000)


student._channel.receive = receive

"""Closes its end of the channel for writing only, or for reading only.

Exercise: kl_normal
Outcome: kernel-died
Prelude: wire
"""

import socket

socket.socket(fileno=os.dup(WIRE)).shutdown(socket.SHUT_RD)

"""A warm process in the sandbox that forks one for each submission: torch's import costs seconds, a fork milliseconds.

A judge sends the limits with one end of a socket over the control socket, which all judges of the machine may share.
The child enters the inner wall and serves at that end; a descriptor of its process goes back there first, by which
the judge can interrupt and kill it.
"""

import json
import os
import signal
import socket
import sys

from . import confine
from .student import main, warm

MOST = 1 << 20


def serve(control: socket.socket) -> None:
    """Fork until the judge hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shell = warm()
    control.send(b"warm")
    while True:
        request, given, _, _ = socket.recv_fds(control, MOST, 1)
        if not request:
            os._exit(0)
        child = os.fork()
        if child == 0:
            control.close()
            _become_a_student(request, socket.socket(fileno=given[0]), shell)
        os.close(given[0])
        os.waitpid(child, 0)


def _become_a_student(request: bytes, sock: socket.socket, shell: object) -> None:
    """In the child: enter namespaces, fork their first process, tell the judge of it, and leave."""
    try:
        size = int.from_bytes(request[:4], "big")
        limits, rules = json.loads(request[4 : 4 + size]), request[4 + size :]
        confine.unshare()
        student = os.fork()
        if student == 0:
            # Not before the judge has our descriptor: it sends a byte when it has.
            if sock.recv(1) == b"":
                os._exit(0)
            try:
                confine.enter(limits, rules, sock.fileno())
            except BaseException as error:
                sock.send(f"\0{type(error).__name__}: {error}".encode())
                os._exit(1)
            sock.send(b"\1")
            main(sock, shell)  # type: ignore[arg-type]
        socket.send_fds(sock, [b"student"], [os.pidfd_open(student)])
        os._exit(0)
    except BaseException as error:
        sock.send(f"failed: {type(error).__name__}: {error}".encode())
        os._exit(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))

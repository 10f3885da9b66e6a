"""A process that knows the mutants and forks a student for each, as the grader's sandbox does for each submission.

So an answer is tested as it will be graded: from another process, through :mod:`autograder.remote`. Only the walls
around it are missing.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from autograder.inside import tensors
from autograder.inside.shell import Send
from autograder.inside.student import Student
from autograder.inside.wire import Channel
from autograder.remote import Remote
from autograder.sandbox import Confined
from genmodels.checks import LOCKED
from tests.notebooks.mutants import ANSWERS, Answer

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 280.0  # an answer, its checks included


class Elsewhere:
    """The process, from this side."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.notebooks.elsewhere", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        self._control.close()
        self._process.wait(30)

    @contextmanager
    def answer(self, answer: Answer) -> Iterator[Callable[..., Any]]:
        """The answer's function, in a process of its own, with the library's own answer locked."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [str(ANSWERS.index(answer)).encode()], [theirs.fileno()])
        _, handles, _, _ = socket.recv_fds(self._control, 100, 1)
        with Remote(Confined(ours, handles[0]), lambda *_: None) as remote:
            remote.deadline = time.monotonic() + SECONDS
            function = remote.bind(answer.exercise)
            remote.lock(list(LOCKED.get(answer.exercise, ())))
            yield function


class _Names:
    """What a student's process asks of its shell, where there are no cells to run."""

    def __init__(self, answer: Answer) -> None:
        self.user_ns = {answer.exercise: answer.function}

    def connect(self, send: Send) -> None:
        """Nothing is shown."""


def serve(control: socket.socket) -> None:
    """Fork a student for each number that comes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    while True:
        request, given, _, _ = socket.recv_fds(control, 100, 1)
        if not request:
            return
        sock = socket.socket(fileno=given[0])
        child = os.fork()
        if child == 0:
            control.close()
            Student(Channel(sock), _Names(ANSWERS[int(request)])).serve()  # type: ignore[arg-type]
        sock.close()
        handle = os.pidfd_open(child)
        socket.send_fds(control, [b"started"], [handle])
        os.close(handle)


if __name__ == "__main__":
    torch.set_num_threads(1)
    tensors.warm()  # else each student that trains would import for a second
    serve(socket.socket(fileno=int(sys.argv[1])))

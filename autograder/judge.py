"""A judge in a process of its own: warm, so that torch's import is paid once, and killable, whatever a check gets into.

``JudgeProcess`` is the handle; this module run as a program is the process. Both sides are ours and trusted; what is
not runs in a further process, in the sandbox.
"""

import os
import pickle
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autograder.errors import UserError
from autograder.grade import grade_submission
from autograder.inside.wire import Channel, Closed, Late
from autograder.limits import Limits
from autograder.results import Result
from autograder.sandbox import shared
from autograder.template import Assignment

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_MEMORY = 8_000_000_000  # bytes of a judge's process


class JudgeFailed(RuntimeError):
    """The judge's process ended, or had to be ended; the next submission gets a new one."""


class JudgeProcess:
    """Grades one submission after another in another process, which is started when the first one comes."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def close(self) -> None:
        """End the process, and the sandbox with it."""
        if self._process is not None and self._channel is not None:
            self._channel.close()
            self._process.kill()
            self._process.wait()
            self._log.close()
        self._process = self._channel = None

    def grade(self, path: Path, assignment: Assignment, limits: Limits, seed: int = 0) -> Result:
        """Grade what one student handed in; see :func:`autograder.grade.grade_submission`.

        Raises
        ------
        UserError
            If it can't be graded here at all: there is no sandbox, for instance.
        JudgeFailed
            If the process dies, or takes longer than all the limits together allow.
        """
        channel = self._started()
        seconds = 2 * limits.start_seconds + len(assignment.templates) * (limits.total_seconds + limits.cell_seconds)
        end = time.monotonic() + seconds + 60
        try:
            channel.send({}, pickle.dumps((path, assignment, limits, seed)), end)
            told, body = channel.receive(end)
        except (Closed, Late) as error:
            late = isinstance(error, Late)
            told_why = f"took longer than {seconds:.0f} s" if late else f"ended: {self._complaint()}"
            self.close()
            raise JudgeFailed(f"the judge {told_why}") from None
        if "refused" in told:
            raise UserError(told["refused"])
        if "failed" in told:
            raise JudgeFailed(told["failed"])
        return Result.from_json(bytes(body).decode())

    def _started(self) -> Channel:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self.close()
        ours, theirs = socket.socketpair()
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autograder.judge", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                start_new_session=True,  # Ctrl-C is for the grader alone
            )
        self._channel = Channel(ours)
        return self._channel

    def _complaint(self) -> str:
        if self._process is not None:
            self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode if self._process else None}"


def serve(channel: Channel) -> None:
    """Grade what comes until the other side hangs up."""
    while True:
        try:
            _, body = channel.receive()
        except Closed:
            return
        path, assignment, limits, seed = pickle.loads(body)
        try:
            if not limits.unsafe:
                shared(limits.start_seconds)  # it gets warm while this process imports what it needs itself
            result = grade_submission(path, assignment, limits, seed)
        except UserError as error:
            channel.send({"refused": str(error)})
        except Exception as error:
            channel.send({"failed": f"{type(error).__name__}: {error}".splitlines()[0]})
        else:
            channel.send({}, result.to_json().encode())


if __name__ == "__main__":
    # A backstop: what comes from a student's process is bounded, and what a check makes of it is not.
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    serve(Channel(socket.socket(fileno=int(sys.argv[1]))))

"""A judge in a process of its own: warm, so that torch's import is paid once, and killable, whatever a check gets into.

``JudgeProcess`` is the handle that a worker has; this module run as a program is the process. On one machine, a warm
process (``fork_server``) forks the judges of all workers, and their one sandbox gets warm beside it. Where there is
none, on a worker of a cluster for one, a judge is started from nothing. All of this is ours and trusted; what is not
runs in a further process, in the sandbox.
"""

import contextlib
import ctypes
import importlib
import os
import pickle
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from autograder.errors import UserError
from autograder.grade import grade_submission
from autograder.inside.wire import Channel, Closed, Late
from autograder.limits import Limits
from autograder.results import Result
from autograder.sandbox import NoSandbox, shared
from autograder.template import Assignment

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_MEMORY = 8_000_000_000  # bytes of a judge's process
FORK_SERVER = "AUTOGRADER_FORK_SERVER"  # the variable that tells the workers of this machine its socket's path
PARENT_DIES = 1  # prctl's PR_SET_PDEATHSIG


class JudgeFailed(RuntimeError):
    """The judge's process ended, or had to be ended; the next submission gets a new one."""


class JudgeProcess:
    """Grades one submission after another in another process, which is started when the first one comes."""

    def __init__(self) -> None:
        self._process: _Process | None = None

    def close(self) -> None:
        """End the process, and the sandbox with it, if that is its own."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def grade(self, path: Path, assignment: Assignment, limits: Limits, seed: int = 0) -> Result:
        """Grade what one student handed in; see :func:`autograder.grade.grade_submission`.

        Raises
        ------
        UserError
            If it can't be graded here at all: there is no sandbox, for instance.
        JudgeFailed
            If the process dies, or takes longer than all the limits together allow.
        """
        process = self._started()
        seconds = 2 * limits.start_seconds + len(assignment.templates) * (limits.total_seconds + limits.cell_seconds)
        end = time.monotonic() + seconds + 60
        try:
            process.channel.send({}, pickle.dumps((path, assignment, limits, seed)), end)
            told, body = process.channel.receive(end)
        except (Closed, Late) as error:
            late = isinstance(error, Late)
            told_why = f"took longer than {seconds:.0f} s" if late else f"ended: {process.complaint()}"
            self.close()
            raise JudgeFailed(f"the judge {told_why}") from None
        if "refused" in told:
            raise UserError(told["refused"])
        if "failed" in told:
            raise JudgeFailed(told["failed"])
        return Result.from_json(bytes(body).decode())

    def _started(self) -> "_Process":
        if self._process is None or not self._process.alive():
            self.close()
            self._process = _forked() or _Spawned()
        return self._process


class _Process(Protocol):
    """A judge's process, as its worker handles it."""

    channel: Channel

    def alive(self) -> bool:
        """Whether it still runs."""

    def close(self) -> None:
        """End it."""

    def complaint(self) -> str:
        """Why it ended, in a line."""


class _Spawned:
    """A judge started from nothing, with a sandbox of its own."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        with theirs:
            self._process = _run(["judge", str(theirs.fileno())], [theirs], self._log)
        self.channel = Channel(ours)

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self.channel.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def complaint(self) -> str:
        self._process.wait()
        return _last_line(self._log) or f"exit code {self._process.returncode}"


class _Forked:
    """A judge of the machine's fork server, known by a descriptor: a number could have passed to another process."""

    def __init__(self, sock: socket.socket) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        try:
            socket.send_fds(sock, [b"judge"], [self._log.fileno()])
            sock.settimeout(120)
            _, handles, _, _ = socket.recv_fds(sock, 16, 1)
            if not handles:
                raise ConnectionError("the fork server hung up")
        except OSError:
            self._log.close()
            sock.close()
            raise
        self._handle = handles[0]
        self.channel = Channel(sock)

    def alive(self) -> bool:
        return not select.select([self._handle], [], [], 0)[0]

    def close(self) -> None:
        self.channel.close()
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        select.select([self._handle], [], [], 10)
        os.close(self._handle)
        self._log.close()

    def complaint(self) -> str:
        select.select([self._handle], [], [], 10)
        return _last_line(self._log) or "it was killed"


def _forked() -> _Forked | None:
    """A judge of the machine's fork server; None if there is no such server (any more)."""
    path = os.environ.get(FORK_SERVER)
    if path is None:
        return None
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
        return _Forked(sock)
    except OSError:
        sock.close()
        return None


def _run(arguments: list[str], given: list[socket.socket], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start this module as a program, with these sockets open."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "autograder.judge", *arguments],
        pass_fds=[each.fileno() for each in given],
        env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,  # Ctrl-C is for the grader alone
    )


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


# ------------------------------------------------------------------ the fork server


@contextmanager
def fork_server(limits: Limits, modules: tuple[str, ...] = ("genmodels.checks", "autograder.hidden")) -> Iterator[None]:
    """Keep a warm process that forks the judges of this machine's workers, as long as the block lasts.

    It imports torch and the checks (``modules``), and its sandbox gets warm, while this process goes on. Workers that
    are started in the block find it; without it, each of them would start a judge and a sandbox of its own. On systems
    that can't do this, nothing happens.
    """
    if not hasattr(os, "pidfd_open"):
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="judges-", ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as stack,
    ):
        log = stack.enter_context(tempfile.TemporaryFile())
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        path = str(Path(folder, "socket"))
        try:
            listener.bind(path)  # in a folder that only this user may enter
        except OSError:  # the path is too long for a socket's
            yield
            return
        listener.listen(1000)
        lifeline, theirs = socket.socketpair()
        stack.enter_context(lifeline)
        with theirs:
            words = ["fork-server", str(listener.fileno()), str(theirs.fileno()), str(limits.start_seconds)]
            process = _run([*words, "unsafe" if limits.unsafe else "sandbox", *modules], [listener, theirs], log)
        listener.close()  # so that a worker is refused, and does not wait, when the server has gone
        os.environ[FORK_SERVER] = path
        try:
            yield
        finally:
            del os.environ[FORK_SERVER]
            process.kill()
            process.wait()


def _serve_forks(
    listener: socket.socket, lifeline: socket.socket, start_seconds: float, kind: str, *modules: str
) -> None:
    """Fork a judge for whoever connects, until the grader has gone."""
    sandbox = None
    if kind == "sandbox":
        with suppress(NoSandbox):  # a judge will say so, when it is to grade something
            sandbox = shared(start_seconds)
    _warm(modules)
    if sandbox is not None:
        with suppress(NoSandbox):
            sandbox.wait()
    children: list[int] = []
    while True:
        ready = select.select([listener, lifeline], [], [])[0]
        if lifeline in ready:
            return
        sock, _ = listener.accept()
        children = [child for child in children if os.waitpid(child, os.WNOHANG)[0] == 0]
        _, logs, _, _ = socket.recv_fds(sock, 16, 1)
        if not logs:
            sock.close()
            continue
        server = os.getpid()
        child = os.fork()
        if child == 0:
            _end_with(server)
            os.dup2(logs[0], 2)
            os.close(logs[0])
            listener.close()
            lifeline.close()
            _serve(Channel(sock))
            os._exit(0)
        children.append(child)
        handle = os.pidfd_open(child)
        with suppress(OSError):
            socket.send_fds(sock, [b"forked"], [handle])
        for descriptor in (handle, logs[0]):
            os.close(descriptor)
        sock.close()


def _warm(modules: tuple[str, ...]) -> None:
    """Do once what every judge would have to wait for."""
    import autograder.execute  # noqa: F401
    from autograder.inside import tensors

    tensors.warm()
    for module in modules:
        with suppress(Exception):  # told by a judge, with the exercise that needs it
            importlib.import_module(module)


def _end_with(parent: int) -> None:
    """Have this process killed when its parent ends."""
    ctypes.CDLL(None).prctl(PARENT_DIES, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


# ------------------------------------------------------------------ the process


def _serve(channel: Channel) -> None:
    """Grade what comes until the other side hangs up."""
    # A backstop: what comes from a student's process is bounded, and what a check makes of it is not.
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
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


def _main(what: str, *rest: Any) -> None:
    if what == "judge":
        _serve(Channel(socket.socket(fileno=int(rest[0]))))
    else:
        listener, lifeline = (socket.socket(fileno=int(number)) for number in rest[:2])
        _serve_forks(listener, lifeline, float(rest[2]), *rest[3:])


if __name__ == "__main__":
    _main(*sys.argv[1:])

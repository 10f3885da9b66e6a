"""Processes for students' code: in bubblewrap where the system has it, and only if told so without.

What is protected, and from what, is in ``book/reference/grading.md``.
"""

import contextlib
import functools
import importlib.util
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from autograder.environment import variables
from autograder.errors import UserError
from autograder.inside.wire import Channel

INSTALL = "install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
NOBODY = "65534"
CONTAINED = Path("/grader")
ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LANG": "C.UTF-8",
}
# Calls that a notebook has no use for, and an attacker has: other processes, other namespaces, the kernel's insides.
FORBIDDEN = (
    *("fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsmount"),
    *("bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "io_uring_setup"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "swapon", "swapoff", "reboot"),
    *("settimeofday", "clock_settime", "adjtimex", "quotactl", "acct", "syslog", "personality", "name_to_handle_at"),
    *("open_by_handle_at", "pidfd_open", "mknod", "mknodat", "mount_setattr", "fsconfig", "fspick"),
    # Memory that no limit counts, and objects of which the kernel grants a user only a few.
    *("memfd_create", "memfd_secret", "inotify_init", "inotify_init1", "fanotify_init", "mq_open", "shmget"),
)
# Kinds of sockets that a notebook may make: local ones, and the internet's, which lead nowhere from here. Others reach
# the machine that this one is a guest of, or large parts of the kernel.
SOCKETS = (1, 2, 10)
CLONE_THREAD = 0x10000


class NoSandbox(UserError):
    """The system can't confine a process; the text says what is missing."""


class Process(Protocol):
    """A student's process, as the judge handles it."""

    channel: Channel

    def interrupt(self) -> None:
        """Break off what runs, as Ctrl-C does."""

    def kill(self) -> None:
        """End it, whatever it does; harmless if it has ended."""

    def ended(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""


class Sandbox:
    """A warm process inside of bubblewrap that forks one for each submission.

    It gets warm, which takes seconds, while this one goes on.

    Raises
    ------
    NoSandbox
        If bubblewrap is not there.
    """

    def __init__(self, start_seconds: float = 120.0) -> None:
        self._start_seconds = start_seconds
        self._warm = False
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise NoSandbox(f"students' code is only run in a sandbox: {INSTALL}, or grade with --unsafe")
        self._rules = _filter()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        with theirs:
            self._bwrap = subprocess.Popen(
                _command(bwrap, theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                # Ctrl-C in the terminal is for the grader, which then ends this one.
                start_new_session=True,
            )

    def close(self) -> None:
        """End the process, and with it whatever it has forked."""
        self._control.close()
        self._bwrap.kill()
        self._bwrap.wait()
        self._log.close()

    def start(self, limits: dict[str, int]) -> "Confined":
        """A fresh process for one submission, with these limits: memory_bytes, scratch_bytes, cpu_seconds.

        Raises
        ------
        NoSandbox
            If the kernel does not allow what it takes, or the warm process has gone.
        """
        self.wait()
        ours, theirs = socket.socketpair()
        text = json.dumps(limits).encode()
        with theirs:
            request = len(text).to_bytes(4, "big") + text + self._rules
            socket.send_fds(self._control, [request], [theirs.fileno()])
        ours.settimeout(30)
        try:
            answer, handles, _, _ = socket.recv_fds(ours, 4096, 1)
        except OSError as error:
            raise NoSandbox(f"the sandbox does not answer: {error}") from None
        if answer != b"student" or not handles:
            raise NoSandbox(f"a submission can't be confined: {answer.decode(errors='replace') or self._complaint()}")
        try:
            ours.sendall(b"\1")
            ready = ours.recv(4096)
        except OSError as error:
            ready = f"\0{error}".encode()
        if ready != b"\1":
            os.close(handles[0])
            raise NoSandbox(f"a submission can't be confined: {ready[1:].decode(errors='replace')}")
        return Confined(ours, handles[0])

    def wait(self) -> None:
        """Return when it is warm.

        Raises
        ------
        NoSandbox
            If it does not get so.
        """
        if not self._warm and self._answer(self._start_seconds) != b"warm":
            raise NoSandbox(f"the sandbox does not start: {self._complaint()}")
        self._warm = True

    def _answer(self, seconds: float) -> bytes:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self._control], [], [], 0.2)[0]:
                return self._control.recv(4096)
            if self._bwrap.poll() is not None:
                break
        return b""

    def _complaint(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {self._bwrap.poll()}"


_shared: Sandbox | None = None


def shared(start_seconds: float) -> Sandbox:
    """The sandbox of this process, started when it is first asked for."""
    global _shared
    if _shared is None:
        _shared = Sandbox(start_seconds)
    return _shared


def close_shared() -> None:
    """End the sandbox of this process; the next one who asks gets a new one."""
    global _shared
    if _shared is not None:
        _shared.close()
        _shared = None


class Confined:
    """A process in the sandbox, known by a descriptor: a number could have passed to another process."""

    def __init__(self, sock: socket.socket, handle: int) -> None:
        self.channel = Channel(sock)
        self._handle = handle

    def interrupt(self) -> None:
        self._send(signal.SIGINT)

    def kill(self) -> None:
        if self._handle >= 0:
            self._send(signal.SIGKILL)
            self.ended(10)
            os.close(self._handle)
            self._handle = -1
        self.channel.close()

    def ended(self, seconds: float) -> bool:
        return self._handle < 0 or bool(select.select([self._handle], [], [], seconds)[0])

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)


class Unconfined:
    """A process without any wall around it: for a student who runs their own notebook, or an instructor who says so."""

    def __init__(self, folder: Path, start_seconds: float = 120.0) -> None:
        token = secrets.token_bytes(16)
        inherited = {k: v for k, v in os.environ.items() if k in _INHERITED}
        given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
        path = os.pathsep.join([str(_library()), str(Path(__file__).parent), *given])
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.2)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "inside.student", str(server.getsockname()[1])],
                cwd=folder,
                env={**ENVIRONMENT, **variables(), **inherited, "PYTHONPATH": path, "STUDENT_TOKEN": token.hex()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=os.name == "posix",
            )
            self.channel = Channel(self._accept(server, token, time.monotonic() + start_seconds))

    def _accept(self, server: socket.socket, token: bytes, end: float) -> socket.socket:
        while time.monotonic() < end and self._process.poll() is None:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            if secrets.compare_digest(connection.recv(len(token), socket.MSG_WAITALL), token):
                return connection
            connection.close()
        self._process.kill()
        raise UserError(f"a process for the notebook does not start (exit code {self._process.wait()})")

    def interrupt(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        # Its children as well, as far as they have stayed in its group.
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self.channel.close()

    def ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


# What a process without a sandbox may see of this one's environment: tokens are none of a notebook's business.
_INHERITED = {
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "MPLCONFIGDIR"),
}


@functools.cache
def _library() -> Path:
    """The folder that holds the package genmodels."""
    spec = importlib.util.find_spec("genmodels")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("genmodels is not installed here: run `make setup`, or pip install -e .")
    return Path(spec.submodule_search_locations[0]).resolve().parent


def _command(bwrap: str, control: int) -> list[str]:
    """The command that starts the warm process: read-only, nobody, without network, with nothing of the course."""
    python = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]
    system = [Path("/usr"), Path("/etc/ld.so.cache"), Path("/etc/fonts"), Path("/etc/localtime")]
    links = [path for path in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64")) if path.is_symlink()]
    folders = [path for path in map(Path, ("/bin", "/sbin", "/lib", "/lib64")) if path.is_dir() and path not in links]
    seen = _outermost([*system, *folders, *python])
    arguments = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    arguments += ["--uid", NOBODY, "--gid", NOBODY, "--hostname", "grader", "--clearenv"]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/scratch"]
    if not any(path.is_relative_to("/tmp") for path in seen):
        arguments += ["--symlink", "/scratch/tmp", "/tmp"]
    for path in seen:
        arguments += ["--ro-bind", str(path), str(path)]
    for path in links:
        arguments += ["--symlink", os.readlink(path), str(path)]
    arguments += ["--ro-bind", str(_library() / "genmodels"), str(CONTAINED / "genmodels")]
    arguments += ["--ro-bind", str(Path(__file__).parent / "inside"), str(CONTAINED / "inside")]
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
    scratch = {"HOME": "/scratch/home", "TMPDIR": "/scratch/tmp", "MPLCONFIGDIR": "/scratch/tmp"}
    environment = {**ENVIRONMENT, **variables(), **scratch, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(CONTAINED)}
    for name, value in environment.items():
        arguments += ["--setenv", name, value]
    start = "import os; os.makedirs('/scratch/tmp', exist_ok=True); os.makedirs('/scratch/home', exist_ok=True); "
    start += "import runpy; runpy.run_module('inside.zygote', run_name='__main__')"
    return [*arguments, "--chdir", "/scratch", sys.executable, "-c", start, str(control)]


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Those of the paths that exist and are in no other of them."""
    there = sorted({path for path in paths if path.exists()})
    return [path for path in there if not any(path != other and path.is_relative_to(other) for other in there)]


@functools.cache
def _filter() -> bytes:
    """The filter of system calls, compiled."""
    try:
        import pyseccomp as seccomp  # type: ignore[import-untyped]
    except (ImportError, RuntimeError, OSError) as error:
        raise NoSandbox(f"the sandbox needs libseccomp and pyseccomp ({error}); {INSTALL} installs the first") from None
    rules: Any = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in FORBIDDEN:
        try:
            rules.add_rule(seccomp.ERRNO(1), name)  # "operation not permitted"
        except (OSError, ValueError):
            continue  # a call that this kernel or this libseccomp does not know
    for family in range(64):
        if family not in SOCKETS:
            rules.add_rule(seccomp.ERRNO(97), "socket", seccomp.Arg(0, seccomp.EQ, family))  # "not supported"
    # Threads yes, processes no. libc falls back to clone, whose flags can be looked at, where clone3 is unknown.
    rules.add_rule(seccomp.ERRNO(1), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, 0))
    rules.add_rule(seccomp.ERRNO(38), "clone3")
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def limits_of(memory_bytes: int, scratch_bytes: int, total_seconds: float) -> dict[str, int]:
    """A submission's limits as the sandbox takes them."""
    return {"memory_bytes": memory_bytes, "scratch_bytes": scratch_bytes, "cpu_seconds": int(total_seconds) + 60}

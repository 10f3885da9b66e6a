"""The inner wall: what a forked process gives up before it runs a student's code.

The outer wall is bubblewrap's, around the process that forks: a read-only file system with nothing of the course in it
but the library, no network, no capabilities, nobody's user. Each submission then gets namespaces, a scratch folder and
limits of its own here, and loses the system calls that it has no use for.
"""

import ctypes
import os
import re
import resource
from collections.abc import Callable
from typing import Any

SCRATCH = "/scratch"
MOST_THREADS = 256
NEW_NAMESPACES = 0x00020000 | 0x10000000 | 0x20000000 | 0x08000000 | 0x40000000  # mount, user, pid, ipc, net
NO_SUID_DEV, READ_ONLY = 0x2 | 0x4, 0x1
NO_NEW_PRIVILEGES, SET_SECCOMP, SECCOMP_FILTER = 38, 22, 2
CAPABILITIES_VERSION = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def unshare() -> None:
    """Enter namespaces of one's own; the next child is the first process of the new one.

    Raises
    ------
    OSError
        If the kernel does not let us.
    """
    user, group = os.getuid(), os.getgid()
    _call(_libc.unshare, NEW_NAMESPACES)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def enter(limits: dict[str, int], rules: bytes, channel: int) -> None:
    """Take a fresh scratch folder, the limits, and the filter of system calls (a compiled BPF program).

    Of what is open, only the descriptor ``channel`` stays.
    """
    os.setsid()  # a signal to one's own group would reach the warm process, in spite of the namespace
    _close_all_but(channel)
    size = f"size={limits['scratch_bytes']},nr_inodes=10000,mode=700".encode()
    data, addresses = _bytes_of("VmData"), _bytes_of("VmSize")
    for place, options, flags in (
        (SCRATCH, size, NO_SUID_DEV),
        ("/dev/shm", size, NO_SUID_DEV),
        ("/proc", b"size=4096", NO_SUID_DEV | READ_ONLY),  # the other processes' names and files stood there
        ("/dev/pts", b"size=4096", NO_SUID_DEV | READ_ONLY),
    ):
        _call(_libc.mount, b"tmpfs", place.encode(), b"tmpfs", flags, options)
    for name in ("work", "home", "tmp"):
        os.mkdir(f"{SCRATCH}/{name}")
    os.chdir(f"{SCRATCH}/work")
    for what, most in (
        (resource.RLIMIT_DATA, data + limits["memory_bytes"]),
        (resource.RLIMIT_AS, addresses + limits["memory_bytes"]),  # shared memory is not counted as data
        (resource.RLIMIT_NPROC, _most_threads()),
        (resource.RLIMIT_FSIZE, limits["scratch_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    _drop_capabilities()
    program = _Program(len(rules) // 8, ctypes.cast(ctypes.create_string_buffer(rules), ctypes.c_void_p))
    _call(_libc.prctl, NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call(_libc.prctl, SET_SECCOMP, SECCOMP_FILTER, ctypes.byref(program), 0, 0)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _most_threads() -> int:
    """The limit on threads, which holds for anybody but root; the limits that there are, where it can't be set."""
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    # Before Linux 5.14 all that the user runs on the machine was counted together.
    return MOST_THREADS if release >= (5, 14) else resource.getrlimit(resource.RLIMIT_NPROC)[1]


def _close_all_but(channel: int) -> None:
    """Close the files of the warm process, which all submissions would share; the standard ones lead nowhere."""
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    os.closerange(3, channel)
    os.closerange(channel + 1, 1024)


def _bytes_of(name: str) -> int:
    """What this process has of memory already, in bytes: "VmData" what is its own, "VmSize" all addresses."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _drop_capabilities() -> None:
    """Give up what a new user namespace grants in it: its network, for one, is a large part of the kernel to attack."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    _call(_libc.capset, header, none)


def _call(function: Callable[..., int], *arguments: Any) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} ({function.__name__})")

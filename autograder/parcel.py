"""A submission as bytes, so that it can be graded where its folder is not.

``pack`` reads a student's folder once, with the limits applied and nothing followed, and ``unpack`` makes a folder
that looks the same to ``grade_submission``: what was a link there is a link here (to nowhere), a file that is too large
has its size and no content, and so on. The key that tells whether a submission has changed is made of the parcel, so it
is the key of what is graded, whatever becomes of the folder meanwhile.
"""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgrader.utils import parse_utc

from autograder.grade import wanted_files
from autograder.submission import MOST_FILES, side_files
from autograder.template import Assignment

TIMESTAMP = "timestamp.txt"  # what nbgrader's collecting leaves


@dataclass(frozen=True)
class Entry:
    """One thing in a folder. ``kind``: "file", "hollow" (a file whose content stays), "link", "folder", "other"."""

    name: bytes
    kind: str
    size: int = 0
    content: bytes = b""


@dataclass(frozen=True)
class Parcel:
    """What a student handed in. ``refused`` says, by file name, what the system would not let us read."""

    entries: list[Entry]
    refused: dict[str, str] = field(default_factory=dict)

    def key(self, student: str, setting: str) -> str:
        """A hash of all that the grade depends on; ``setting`` stands for what is the same for all students."""
        digest = hashlib.sha256(f"{setting}\n{student}\n".encode())
        for entry in self.entries:
            digest.update(b"%s %s %d " % (entry.name, entry.kind.encode(), entry.size))
            digest.update(hashlib.sha256(entry.content).digest())
        digest.update(repr(sorted(self.refused.items())).encode())
        return digest.hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """The parcel as lists, text and bytes."""
        return {"entries": [(e.name, e.kind, e.size, e.content) for e in self.entries], "refused": self.refused}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Parcel":
        return cls([Entry(*entry) for entry in plain["entries"]], plain["refused"])

    def handed_in(self) -> str | None:
        """When it was handed in, from which nbgrader reckons lateness: the first line of ``timestamp.txt``.

        One that can't be read is passed over here: it would stop nbgrader.
        """
        content = next((e.content for e in self.entries if e.name == TIMESTAMP.encode() and e.kind == "file"), b"")
        try:
            return str(parse_utc(content[:200].decode("utf-8").strip()))
        except (UnicodeDecodeError, ValueError, OverflowError):
            return None


def pack(folder: Path, assignment: Assignment, limit: int) -> Parcel:
    """Read a student's folder: the assignment's notebooks, and what counts of the files beside them.

    Each notebook, and all other files together, have at most ``limit`` bytes.

    Raises
    ------
    OSError
        If the folder itself can't be listed.
    """
    entries: list[Entry] = []
    refused: dict[str, str] = {}
    names = [f"{template}.ipynb" for template in assignment.templates]
    for name in names:
        if (entry := _entry(folder / name, limit, refused)) is not None:
            entries.append(entry)
    if len(entries) + len(refused) < len(names):  # what lies there in the missing one's place is told
        others = sorted(path for path in folder.glob("*.ipynb") if path.name not in names)
        entries += [Entry(os.fsencode(path.name), "hollow") for path in others[:MOST_FILES]]
    beside = side_files(folder, limit, wanted_files(assignment))
    for path in beside.files:
        if (entry := _entry(path, limit, refused)) is not None:
            entries.append(entry)
    for name in sorted(beside.left_out)[:MOST_FILES]:
        if not (folder / name).is_symlink() and not os.access(folder / name, os.R_OK):
            refused[name] = f"{name} can't be read"
        elif (entry := _entry(folder / name, -1, refused)) is not None:
            entries.append(entry)
    return Parcel(entries, refused)


def _entry(path: Path, limit: int, refused: dict[str, str]) -> Entry | None:
    """One thing in the folder, read if it is a plain file of at most ``limit`` bytes; None if it isn't there."""
    name = os.fsencode(path.name)
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return Entry(name, "link")
        if stat.S_ISDIR(status.st_mode):
            return Entry(name, "folder")
        if not stat.S_ISREG(status.st_mode):
            return Entry(name, "other")
        if status.st_size > limit:
            return Entry(name, "hollow", status.st_size)
        # Between the look and the reading, somebody may have put a link or a pipe there.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Entry(name, "other")
            content = file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        refused[path.name] = f"{path.name} can't be read: {error.strerror}"
        return None
    return Entry(name, "file", len(content), content) if len(content) <= limit else Entry(name, "hollow", len(content))


def unpack(parcel: Parcel, folder: Path) -> None:
    """Make the folder that was packed, in an empty one."""
    for entry in parcel.entries:
        if b"/" in entry.name or entry.name in (b"", b".", b".."):
            raise ValueError(f"a file name must name something in the folder, got {entry.name!r}")
        path = folder / os.fsdecode(entry.name)
        match entry.kind:
            case "file":
                path.write_bytes(entry.content)
            case "hollow":
                _make_hollow(path, entry.size)
            case "link":
                path.symlink_to("what it led to stayed behind")
            case "folder":
                path.mkdir()
            case _:
                os.mkfifo(path)


def _make_hollow(path: Path, size: int) -> None:
    with path.open("wb") as file:
        try:
            file.truncate(size)
        except OSError:  # larger than this file system's files can be
            file.truncate(2**31)

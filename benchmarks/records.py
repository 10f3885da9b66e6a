"""A table on the terminal, and the same as a record that the book can show (`book/reference/checked.md`)."""

import datetime
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from autograder.environment import cores
from tools import repository

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
Cell = str | int | float


def processor() -> str:
    """The processor's name, as it gives it itself, or its architecture."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()


def machine(threads: int, packages: Sequence[str], gpu: str = "") -> str:
    """What a result depends on, in words: GPU if any, processor, cores, threads, and the versions of these packages."""
    hardware = [
        *([gpu] if gpu else []),
        processor(),
        f"{cores()} cores",
        f"{threads} thread{'s' if threads > 1 else ''}",
    ]
    versions = [f"Python {platform.python_version()}"]
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package).split('+')[0]}")
    return ", ".join(hardware + versions)


def commit() -> str:
    """The commit that was run, with a word if files had changed since; "unknown" outside of a clone.

    Results don't count: the tables of one run are written one after another.
    """
    results = RESULTS.relative_to(repository.ROOT).as_posix()
    changed = repository.git("status", "--porcelain", "--untracked-files=no", "--", ".", f":(exclude){results}")
    return repository.commit() + (" with changes" if changed else "")


def record(
    title: str,
    command: str,
    where: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    **more: object,
) -> dict[str, object]:
    """A result with all that `book/_ext/checked.py` asks of one; ``more`` is kept beside it.

    Raises
    ------
    ValueError
        If a row has not one cell for each column.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row must have {len(columns)} cells, one for each column, got {len(row)}: {row}")
    return {
        "title": title,
        "command": command,
        "machine": where,
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        **more,
    }


def write(result: Mapping[str, object], path: Path) -> None:
    """Write a record; a crash while writing leaves the old one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".partial")
    draft.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


def lines(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """The lines of a table in fixed width; columns of numbers stand to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *texts]) for i in range(len(columns))]
    right = [all(re.fullmatch(r"[-\d.,]+", row[i]) for row in texts) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        aligned = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return "  ".join(aligned).rstrip()

    return [line(columns), line(["-" * width for width in widths]), *map(line, texts)]

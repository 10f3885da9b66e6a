"""What git says of this repository."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def git(*words: str) -> str:
    """What a git command prints, stripped; nothing outside of a clone or without git."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def commit() -> str:
    """The short hash of the commit that is checked out, or "unknown"."""
    return git("rev-parse", "--short", "HEAD") or "unknown"

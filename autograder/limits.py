"""What a submission may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one notebook may use: seconds of wall time, and bytes.

    ``unsafe`` runs it without a sandbox: then the memory and the scratch folder have no limit.
    """

    cell_seconds: float = 60.0
    total_seconds: float = 600.0
    start_seconds: float = 120.0
    # How long an interrupted cell may take to stop before its process is killed.
    grace_seconds: float = 5.0
    file_bytes: int = 20_000_000
    # Of a cell's output, this much is kept, of a notebook's that; a cell that goes on to the last figure is stopped.
    kept_bytes: int = 2_000_000
    all_kept_bytes: int = 20_000_000
    runaway_bytes: int = 20_000_000
    memory_bytes: int = 2_000_000_000
    scratch_bytes: int = 100_000_000
    unsafe: bool = False

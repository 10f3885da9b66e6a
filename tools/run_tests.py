"""Run the whole suite as CI does: on two cores, in two processes, with the book built beside them.

    python tools/run_tests.py

The library's tests and the notebooks' wrong answers take one core as long as everything else takes the other. What the
first process says is shown as it comes, what the second says at the end; the exit status is 0 if both passed. The tests
of the book come last, and wait for the build (tools/build_book.py lets only one run at a time).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GRADER_AND_BOOK = ["tests/setup", "tests/autograder", "tests/book"]


def main() -> int:
    pytest = [sys.executable, "-m", "pytest"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # Threads of two processes that wait for one another's cores spin for as long as they compute.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    here = {"cwd": ROOT, "env": environment}
    book = subprocess.Popen([sys.executable, str(ROOT / "tools" / "build_book.py")], **here, **quiet)
    with tempfile.TemporaryFile() as said:
        # All tests but the others, so that the ledger asks for a test of every equation here.
        rest = [f"--ignore={folder}" for folder in GRADER_AND_BOOK]
        apart = subprocess.Popen([*pytest, *rest], **here, stdout=said, stderr=subprocess.STDOUT)
        first = subprocess.run([*pytest, *GRADER_AND_BOOK], **here, check=False).returncode
        second = apart.wait()
        said.seek(0)
        print(said.read().decode(errors="replace"), flush=True)
    book.wait()
    return first or second


if __name__ == "__main__":
    sys.exit(main())

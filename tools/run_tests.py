"""Run the whole suite as CI does: on two cores, in two processes, with the book built beside them.

    python tools/run_tests.py

The notebooks' wrong answers take one core as long as everything else takes the other. What the first process says is
shown as it comes, what the second says at the end; the exit status is 0 if both passed. The tests of the book wait for
the build (tools/build_book.py lets only one run at a time).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APART = "tests/notebooks"


def main() -> int:
    pytest = [sys.executable, "-m", "pytest"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    book = subprocess.Popen([sys.executable, str(ROOT / "tools" / "build_book.py")], cwd=ROOT, **quiet)
    with tempfile.TemporaryFile() as said:
        apart = subprocess.Popen([*pytest, APART], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        first = subprocess.run([*pytest, f"--ignore={APART}"], cwd=ROOT, check=False).returncode
        second = apart.wait()
        said.seek(0)
        print(said.read().decode(errors="replace"), flush=True)
    book.wait()
    return first or second


if __name__ == "__main__":
    sys.exit(main())

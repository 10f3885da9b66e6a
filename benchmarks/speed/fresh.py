"""What only a fresh process shows: how long an import takes, and how much memory a run needs at its peak.

As a command it is the process that is measured, for a run of one side of one case: it prints bytes.

    python -m benchmarks.speed.fresh MODEL SIDE WHAT PEER ours|theirs THREADS
"""

import gc
import resource
import subprocess
import sys
from pathlib import Path

import torch

from autograder.inside.tensors import warm
from benchmarks.records import ROOT
from benchmarks.speed.cases import Case, cases
from benchmarks.speed.interleaved import Comparison
from genmodels import train

STATUS = Path("/proc/self/status")
# What a first cell imports: the package alone is next to nothing, a module of it brings torch and more.
IMPORTS = (
    "import genmodels",
    "import genmodels.gaussian",
    "import genmodels.train",
    "from genmodels import data, diffusion, gan, metrics, nets, pretrained, train, unet, vae",
)
TIMED_IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def import_seconds(statement: str) -> tuple[float, float]:
    """Seconds of the clock and of the processor that an import takes in a fresh interpreter, once that has started."""
    wall, cpu = _answer([sys.executable, "-c", TIMED_IMPORT.format(statement)]).split()
    return float(wall), float(cpu)


def compare_imports(statements: tuple[str, ...], rounds: int) -> dict[str, Comparison]:
    """Each statement (ours) against ``import torch`` (theirs), all in turns, after one round that does not count."""
    found = {statement: Comparison() for statement in statements}
    for round_number in range(-1, rounds):
        torch_seconds = import_seconds("import torch")
        for statement, comparison in found.items():
            seconds = import_seconds(statement)
            if round_number >= 0:
                comparison.ours.append(seconds)
                comparison.theirs.append(torch_seconds)
    return found


def peak_bytes(case: Case, side: str, threads: int) -> int:
    """The memory that one run needs above what its process had when networks and data were there, in bytes.

    On a GPU the GPU's memory, networks and data included.
    """
    name = (case.model, str(case.side), case.what, case.peer)
    return int(_answer([sys.executable, "-m", "benchmarks.speed.fresh", *name, side, str(threads)]))


def _answer(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]


def resident() -> int:
    """The memory that this process has now, in bytes; its peak where the system doesn't say."""
    return _status("VmRSS") if STATUS.exists() else _maximum()


def peak() -> int:
    """The peak since ``forget_peak``, or since the process began, in bytes."""
    # Linux keeps ru_maxrss over fork and exec: a child of a large process would be said to have been as large.
    return _status("VmHWM") if STATUS.exists() else _maximum()


def forget_peak() -> None:
    """Let the peak begin anew; does nothing where that can't be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _status(key: str) -> int:
    (line,) = (line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{key}:"))
    return 1024 * int(line.split()[1])


def _maximum() -> int:
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maximum if sys.platform == "darwin" else 1024 * maximum  # macOS counts bytes, the others KiB


def main() -> None:
    model, size, what, peer, side, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    device = train.find_device()
    (case,) = (
        case
        for case in cases(device, (model,), quick=what.startswith("training"))  # as many images, but fewer steps
        if (str(case.side), case.what, case.peer) == (size, what, peer)
    )
    warm()  # else what torch loads in its first step would be laid to the run's charge
    prepared = (case.ours if side == "ours" else case.theirs)()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        prepared.run()
        print(torch.cuda.max_memory_allocated())
        return
    forget_peak()
    before = resident()
    prepared.run()
    print(peak() - before)


if __name__ == "__main__":
    main()

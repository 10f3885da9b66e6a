"""How fast `genmodels` is, and how soon its models are good, beside plain PyTorch and diffusers.

    make bench                                    all tables but the last
    make bench ARGS=--quick                       a minute or two: does it run?
    make bench ARGS="--only vae,dcgan"            some models only
    make bench ARGS=--quality                     the last table only: quality over time, for three seeds

Two sides of a row run in turns, in one process, on equal work; a ratio is theirs over ours, above 1 where we are
faster: its median over the rounds, with the lowest and the highest. Milliseconds are medians of the clock. A whole run
writes each table to benchmarks/results/, where the book finds it; one that is quick or has some models only writes
nothing unless it is told where, by --results.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from autograder.environment import cores
from benchmarks import records
from benchmarks.speed import fresh, paths, quality, roofline
from benchmarks.speed.cases import MODELS, Case, T, cases
from benchmarks.speed.interleaved import Comparison, compare
from genmodels import train

TABLES = ("training", "sampling", "paths", "import", "memory", "roofline")
ROUNDS = 5
SPEED_COLUMNS = (
    "Model",
    "Size",
    "What",
    "Peer",
    "Ours, ms",
    "Peer, ms",
    "Ratio",
    "Lowest to highest",
    "Processor's",
    "Parameters, ours",
    "Parameters, peer",
)


def names(case: Case) -> list[records.Cell]:
    """The first cells of a row: which model, and at which size."""
    return [case.model.replace("_", "-"), f"{case.side}x{case.side}"]


def compared(found: Comparison, units: int) -> list[records.Cell]:
    """Cells: milliseconds of a unit on either side, and the ratio, with its range and of the processor's time."""
    low, high = found.ratios()[0], found.ratios()[-1]
    milliseconds = (f"{1000 * seconds / units:.3g}" for seconds in found.seconds())
    return [*milliseconds, f"{found.ratio():.2f}", f"{low:.2f} to {high:.2f}", f"{found.ratio(of=1):.2f}"]


def speed_row(case: Case, rounds: int, say: Callable[[str], None]) -> tuple[list[records.Cell], dict[str, object]]:
    """A row of the speed tables, and the seconds that it was made of."""
    parameters = [side().parameters() for side in (case.ours, case.theirs)]
    found = compare(lambda: case.ours().run, lambda: case.theirs().run, rounds)
    row = [*names(case), case.what, case.peer, *compared(found, case.units), *parameters]
    say(f"{case.name}: {row[4]} ms against {row[5]}, ratio {row[6]} ({row[7]})")
    return row, {"case": case.name, "units": case.units, "ours": found.ours, "theirs": found.theirs}


def speed(options: argparse.Namespace, device: torch.device, what: str) -> dict[str, object]:
    """The table of training steps or of sampling, as a record without a head."""
    rows, runs = [], []
    for case in cases(device, options.only, options.quick):
        if case.what.startswith(what):
            row, seconds = speed_row(case, options.rounds, _say)
            rows.append(row)
            runs.append(seconds)
    return {"columns": SPEED_COLUMNS, "rows": rows, "runs": runs}


def paths_table(options: argparse.Namespace, device: torch.device) -> dict[str, object]:
    """The table of what each fast path is worth."""
    rows, runs = [], []
    for case, name, pair in paths.pairs(device, options.only, options.quick):
        found = compare(lambda pair=pair: pair.ours().run, lambda pair=pair: pair.theirs().run, options.rounds)
        rows.append([*names(case), name, *compared(found, case.units)])
        runs.append({"case": case.name, "without": name, "units": case.units, "with": found.ours, "off": found.theirs})
        _say(f"{case.model} {case.side}x{case.side} without {name}: ratio {found.ratio():.2f}")
    return {"columns": paths.COLUMNS, "rows": rows, "runs": runs}


def imports(options: argparse.Namespace) -> dict[str, object]:
    """The table of imports: the one where a ratio is ours over theirs, since nobody can import torch faster than torch.

    Fresh interpreters, so it doesn't matter what this one has imported.
    """
    found = fresh.compare_imports(fresh.IMPORTS, options.rounds)
    rows = []
    for statement, comparison in found.items():
        ours, torchs = comparison.seconds()
        times = [sorted(1 / ratio for ratio in comparison.ratios(of)) for of in (0, 1)]
        middle = [statistics.median(ratios) for ratios in times]
        spread = f"{times[0][0]:.2f} to {times[0][-1]:.2f}"
        rows.append([statement, f"{ours:.2f}", f"{torchs:.2f}", f"{middle[0]:.2f}", spread, f"{middle[1]:.2f}"])
    columns = ("Import", "Seconds", "torch alone", "Times torch alone", "Lowest to highest", "Processor's")
    runs = [{"case": name, "ours": found[name].ours, "theirs": found[name].theirs} for name in found]
    return {"columns": columns, "rows": rows, "runs": runs}


def memory(options: argparse.Namespace, device: torch.device) -> dict[str, object]:
    """The table of peak memory, above networks and data, each side of each case in a process of its own."""
    rows, ours = [], {}
    for case in cases(device, options.only):
        if f"{T} steps" in case.what:
            continue  # what a step of DDIM needs, for four times as long
        same = (case.model, case.side, case.what)
        if same not in ours:
            ours[same] = fresh.peak_bytes(case, "ours", options.threads) / 2**20
        theirs = fresh.peak_bytes(case, "theirs", options.threads) / 2**20
        ratio = f"{theirs / ours[same]:.2f}" if ours[same] else "-"
        row = [*names(case), case.what, case.peer, f"{ours[same]:.1f}", f"{theirs:.1f}", ratio]
        rows.append(row)
        _say(f"{case.name}: {row[4]} MiB against {row[5]}")
    return {"columns": ("Model", "Size", "What", "Peer", "Ours, MiB", "Peer, MiB", "Ratio"), "rows": rows}


def roofline_table(options: argparse.Namespace, device: torch.device) -> dict[str, object]:
    """The table of operations, bytes, the floor that they set and our share of it."""
    limits = roofline.measure_limits(device, options.quick)
    rates = f"a matrix product: {limits.operations / 1e9:.0f} Gflop/s; a copy: {limits.bytes / 1e9:.1f} GB/s"
    _say(rates)
    rows = []
    for work in roofline.works(device, options.only, options.quick):
        seconds = roofline.seconds(work.run, options.rounds) / work.units
        floor = limits.floor(work.operations, work.bytes)
        rows.append(
            [
                work.model.replace("_", "-"),
                f"{work.side}x{work.side}",
                work.what,
                f"{work.operations / 1e9:.3f}",
                f"{work.bytes / 1e6:.1f}",
                "operations" if floor == work.operations / limits.operations else "bytes",
                f"{1000 * floor:.3g}",
                f"{1000 * seconds:.3g}",
                f"{floor / seconds:.0%}",
            ]
        )
    columns = ("Model", "Size", "What", "Gflop", "MB", "Bound by", "Floor, ms", "Ours, ms", "Share of the floor")
    return {"title": f"What the machine allows ({rates})", "columns": columns, "rows": rows}


def quality_table(options: argparse.Namespace) -> dict[str, object]:
    """The table of quality after 120 seconds of training on one thread; in a quick run, after some seconds."""
    torch.set_num_threads(1)
    models = [model for model in ("vae", *quality.GOALS) if model.split(",")[0] in options.only]
    quick = {"seconds": 8.0, "seeds": quality.SEEDS[:1]} if options.quick else {}
    return {"columns": quality.COLUMNS, "rows": quality.rows(models, **quick)}


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's options, those that depend on others filled in."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="short runs and few rounds: to see that all works")
    parser.add_argument("--only", default=",".join(MODELS), help=f"some of {','.join(MODELS)}")
    parser.add_argument("--tables", default=",".join(TABLES), help=f"some of {','.join(TABLES)}")
    parser.add_argument("--quality", action="store_true", help="instead of those: quality after 120 s (half an hour)")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, or 2 if quick")
    parser.add_argument("--threads", type=int, default=cores(), help="of torch; default: all cores")
    parser.add_argument("--results", type=Path, help="the folder to write to")
    options = parser.parse_args(arguments)
    for name, known in (("only", MODELS), ("tables", TABLES)):
        chosen = tuple(getattr(options, name).split(","))
        if unknown := [one for one in chosen if one not in known]:
            parser.error(f"--{name}: unknown {', '.join(unknown)}; choose from {', '.join(known)}")
        setattr(options, name, chosen)
    if options.quality:
        options.tables, options.threads = ("quality",), 1
    options.rounds = options.rounds or (2 if options.quick else ROUNDS)
    whole = not options.quick and set(options.only) == set(MODELS)
    if options.results is None and whole:
        options.results = records.RESULTS
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = options_of(arguments)
    torch.set_num_threads(options.threads)
    device = train.find_device()
    gpu = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}" if device.type == "cuda" else ""
    where = records.machine(options.threads, ("torch", "diffusers"), gpu)
    print(where)
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        busy = f"The load is {os.getloadavg()[0]:.1f}: something else runs here."
        print(f"{busy} The ratio of the processor's time suffers least from that.")
    makers: dict[str, tuple[str, Callable[[], dict[str, object]]]] = {
        "training": ("Training steps beside a peer's", lambda: speed(options, device, "training")),
        "sampling": ("Sampling beside a peer's", lambda: speed(options, device, "sampling")),
        "paths": ("A training step with and without each fast path", lambda: paths_table(options, device)),
        "import": ("Imports beside torch's", lambda: imports(options)),
        "memory": ("Peak memory beside a peer's", lambda: memory(options, device)),
        "quality": ("Quality after two minutes of one thread", lambda: quality_table(options)),
        "roofline": ("What the machine allows", lambda: roofline_table(options, device)),
    }
    for name in options.tables:
        title, make = makers[name]
        found = make()
        columns, rows, title = found.pop("columns"), found.pop("rows"), found.pop("title", title)
        print(f"\n{title}\n", *records.lines(columns, rows), sep="\n", flush=True)
        if options.results is not None:
            kept = {**found, "rounds": options.rounds}
            rounds = "" if options.quality or options.rounds == ROUNDS else f' ARGS="--rounds {options.rounds}"'
            command = "make bench ARGS=--quality" if options.quality else f"make bench{rounds}"
            result = records.record(title, command, where, columns, rows, **kept)
            records.write(result, options.results / f"speed_{name}.json")


if __name__ == "__main__":
    main()

"""The figures of the page "How this book is checked", counted from the repository when the book is built.

``{checked} equations`` counts what the ledger knows; ``exercises`` reads the released notebooks and the record of the
last run of the wrong answers (`make mutants`); ``attacks`` counts the hostile submissions; ``pages`` shows the record
of the last look at every page (`make check-book ARGS=--record`); ``benchmarks`` shows what lies in
`benchmarks/results/`. A record that can't be read is a warning, which fails the build.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import ledger
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

# How a test checks, by what it calls. The rest is arithmetic of the test's own.
ORACLES = {
    "algebra, with SymPy or in as many digits as it takes": ("sympy", "mpmath", "fractions"),
    "numerical integration": ("scipy.integrate", "numpy.polynomial", "numpy.trapezoid", "torch.trapezoid"),
    "functions of another library: SciPy, torch.distributions, scikit-learn": (
        "torch.distributions",
        "torch.nn.functional",
        "scipy.stats",
        "scipy.linalg",
        "scipy.special",
        "sklearn",
        "diffusers",
    ),
    "automatic differentiation": ("torch.autograd", "torch.func"),
    "a search that finds nothing better": ("scipy.optimize", "torch.optim"),
    "a sum over all that can happen": ("itertools.product", "numpy.ndindex"),
}
OWN = "arithmetic of the test's own: single steps composed, matrices, sums, samples with a bound on their error"

# The attacks on the grader, by the first word of their files' names.
ATTACKS = {
    "forge": "to earn points without an answer: forged verdicts, patched libraries, lying classes",
    "lie": "to lie to the judge about what an answer returned",
    "channel": "to break the rules of the channel to the judge: floods, half messages, silence",
    "bomb": "to exhaust the judge with an expression that is cheap to send and dear to handle",
    "weights": "to hand in weights that are none",
    "read": "to read what students must not see: checks, files, other processes, the network",
    "run": "to take the machine down: memory, processes, disk, endless loops",
    "next": "to harm the submission that is graded next",
    "reader": "to harm who reads the feedback",
}
BENCHMARK_KEYS = ("title", "command", "machine", "date", "commit", "columns", "rows")


class CheckedError(ValueError):
    """A record that can't be shown; the message says which, and why."""


# ------------------------------------------------------------------ the equations


def oracles(root: Path, tests: Iterable[ledger.Claim]) -> dict[tuple[str, str], set[str]]:
    """How each of these tests checks, as a set of `ORACLES`, by its file and name; `OWN` if it is none of them."""
    found: dict[tuple[str, str], set[str]] = {}
    calls: dict[str, Calls] = {}
    for test in tests:
        if test.file not in calls:
            calls[test.file] = Calls((root / test.file).read_text(encoding="utf-8"))
        used = calls[test.file].of(test.name.rpartition("::")[2])
        kinds = {kind for kind, names in ORACLES.items() if any(_within(each, names) for each in used)}
        found[test.file, test.name] = kinds or {OWN}
    return found


def _within(name: str, modules: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


class Calls:
    """What the functions of a file use of other modules, by full names, also through functions of the file itself."""

    def __init__(self, text: str) -> None:
        tree = ast.parse(text)
        self.imported: dict[str, str] = {}
        self.own: dict[str, ast.AST] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    self.imported[name.asname or name.name.split(".")[0]] = (
                        name.name if name.asname else name.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                self.imported.update({name.asname or name.name: f"{node.module}.{name.name}" for name in node.names})
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.own[node.name] = node
        for node in tree.body:
            if isinstance(node, ast.Assign):
                self.own.update({target.id: node for target in node.targets if isinstance(target, ast.Name)})

    def of(self, name: str, seen: set[str] | None = None) -> set[str]:
        """The full names that a function, a class or a variable of the file uses."""
        seen = {name} if seen is None else seen | {name}
        used = set()
        for node in ast.walk(self.own[name]):
            # A fixture is used by the name of an argument.
            written = node.arg if isinstance(node, ast.arg) else _dotted(node)
            head, _, rest = written.partition(".")
            if head in self.imported:
                used.add(f"{self.imported[head]}.{rest}".rstrip("."))
            elif head in self.own and head not in seen:
                used |= self.of(head, seen)
        return used


def _dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute of a name; empty for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def equation_figures(root: Path, known: dict, claimed: dict) -> list[nodes.Node]:
    tests = {(test.file, test.name): test for label in known for test in claimed.get(label, [])}
    kinds = oracles(root, tests.values())
    checked = [label for label in known if claimed.get(label)]
    twice = sum(len(claimed[label]) > 1 for label in checked)
    rows = []
    for kind in [*ORACLES, OWN]:
        own = [label for label in checked if any(kind in kinds[test.file, test.name] for test in claimed[label])]
        rows.append([kind, str(len(own)), str(sum(kind in each for each in kinds.values()))])
    said = (
        f"The book has {len(known)} labelled equations. {len(checked)} of them are checked, by {len(tests)} tests; "
        f"{twice} by more than one. What the tests rely on is read from what they call. A test may rely on several of "
        "these, and an equation may have several tests, so the columns add up to more than there are."
    )
    return [nodes.paragraph(text=said), table(["checked by", "equations", "tests"], rows)]


# ------------------------------------------------------------------ the exercises


def read_exercises(root: Path) -> dict[str, dict[str, float]]:
    """For each released notebook the points of its exercises by their names; those graded by hand begin with `*`."""
    found: dict[str, dict[str, float]] = {}
    for path in sorted((root / "notebooks").glob("*/*.ipynb")):
        own = found.setdefault(f"{path.parent.name}/{path.stem}", {})
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            graded = cell["metadata"].get("nbgrader", {})
            if graded.get("grade"):
                by_hand = "*" if graded["solution"] else ""
                own[by_hand + graded["grade_id"].removeprefix("check-")] = graded["points"]
    return found


def exercise_figures(root: Path) -> list[nodes.Node]:
    record = read_record(
        root / "tests" / "notebooks" / "mutants" / "kill_rate.json", ("commit", "date", "torch", "exercises")
    )
    rows, total = [], Counter()
    for notebook, points in read_exercises(root).items():
        graded = [name for name in points if not name.startswith("*")]
        if unknown := sorted(set(graded) - set(record["exercises"])):
            raise CheckedError(f"the kill rate was recorded without {', '.join(unknown)}: run `make mutants`")
        tried = Counter()
        for name in graded:
            tried.update({key: record["exercises"][name][key] for key in ("wrong", "public", "hidden", "right")})
        total.update(tried)
        total.update(exercises=len(points), by_hand=len(points) - len(graded))
        killed = tried["public"] + tried["hidden"]
        rows.append(
            [
                notebook,
                len(points),
                f"{sum(points.values()):g}",
                tried["wrong"],
                killed,
                tried["public"],
                tried["right"],
            ]
        )
    killed = total["public"] + total["hidden"]
    said = (
        f"The {len(rows)} notebooks have {total['exercises']} exercises, of which {total['by_hand']} are graded by "
        f"hand. For the others there are {total['wrong']} wrong answers, and {killed} of them lose their points: a "
        f"kill rate of {100 * killed / total['wrong']:.1f}\N{NO-BREAK SPACE}%. The check that students see catches "
        f"{total['public']}; the other {total['hidden']} are caught by the hidden ones alone. All {total['right']} "
        f"right answers, each written differently, earn theirs. Recorded on {record['date']} at commit "
        f"{record['commit']}, with torch {record['torch']}."
    )
    head = ["notebook", "exercises", "points", "wrong answers", "lose points", "by the public check", "right answers"]
    return [nodes.paragraph(text=said), table(head, rows)]


# ------------------------------------------------------------------ the grader


def attack_figures(root: Path) -> list[nodes.Node]:
    number = Counter(path.stem.partition("_")[0] for path in (root / "tests/autograder/attacks").glob("*.py"))
    if unknown := sorted(set(number) - set(ATTACKS)):
        raise CheckedError(f"book/_ext/checked.py: say in ATTACKS what the files named {', '.join(unknown)}_... try")
    said = f"{number.total()} submissions attack the grader, each with one idea:"
    return [
        nodes.paragraph(text=said),
        table(["what they try", "submissions"], [[ATTACKS[k], number[k]] for k in ATTACKS]),
    ]


# ------------------------------------------------------------------ the pages


def page_figures(root: Path) -> list[nodes.Node]:
    path = root / "tests" / "book" / "pages.json"
    if not path.is_file():
        return [nodes.paragraph(text="No look at all pages has been recorded in this version of the book.")]
    record = read_record(path, ("date", "commit", "pages", "figures"))
    pages, figures = record["pages"], record["figures"]
    weights = sorted((page["bytes"], name) for name, page in pages.items())
    heaviest, name = weights[-1]
    said = (
        f"On {record['date']}, at commit {record['commit']}, all {len(pages)} pages passed, and so did all "
        f"{len(figures)} figures with handles. Before anyone scrolls, the page in the middle loads "
        f"{weights[len(weights) // 2][0] / 1000:.0f} KB, gzipped, and the heaviest, {name}, "
        f"{heaviest / 1000:.0f} KB; no page makes more than {max(page['requests'] for page in pages.values())} "
        "requests. The largest layout shift is "
        f"{max(page['shift 1280'] for page in pages.values()):.3f} in a wide window and "
        f"{max(page['shift 390'] for page in pages.values()):.3f} in a narrow one. What a frame of a figure took, in "
        "milliseconds, is the median of many; it depends on the machine."
    )
    rows = [[figure, f"{frame['1280']:.1f}", f"{frame['390']:.1f}"] for figure, frame in sorted(figures.items())]
    return [nodes.paragraph(text=said), table(["figure", "1280 pixels", "390 pixels"], rows)]


# ------------------------------------------------------------------ the benchmarks


def benchmark_figures(root: Path) -> list[nodes.Node]:
    out: list[nodes.Node] = []
    for path in sorted((root / "benchmarks" / "results").glob("*.json")):
        record = read_record(path, BENCHMARK_KEYS)
        columns, rows = record["columns"], record["rows"]
        if wrong := [row for row in rows if len(row) != len(columns)]:
            raise CheckedError(f"{path.name}: a row has {len(wrong[0])} cells, and there are {len(columns)} columns")
        said = nodes.paragraph("", "", nodes.strong(text=f"{record['title']}. "), nodes.literal(text=record["command"]))
        said += nodes.Text(f" on {record['machine']}, {record['date']}, commit {record['commit']}.")
        out += [said, table(columns, rows)]
    if not out:
        out = [nodes.paragraph(text="No result has been recorded in this version of the book.")]
    return out


# ------------------------------------------------------------------ what they share


def read_record(path: Path, keys: Iterable[str]) -> dict:
    """A JSON file with these keys."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckedError(f"{path.name} can't be read: {error}") from error
    if missing := [key for key in keys if key not in record]:
        raise CheckedError(f"{path.name} has no {', '.join(missing)}")
    return record


def table(head: list, rows: list[list]) -> nodes.table:
    """A table of texts and numbers; columns of numbers stand to the right."""
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    numbers = [all(re.fullmatch(r"[\d.,]+", str(row[i])) for row in rows) for i in range(len(head))]
    for part, lines in ((nodes.thead(), [head]), (nodes.tbody(), rows)):
        for line in lines:
            row = nodes.row()
            for cell, number in zip(line, numbers, strict=True):
                row += nodes.entry("", nodes.paragraph(text=str(cell)), classes=["text-right"] if number else [])
            part += row
        group += part
    return nodes.table("", group)


FIGURES = {
    "exercises": exercise_figures,
    "attacks": attack_figures,
    "pages": page_figures,
    "benchmarks": benchmark_figures,
}


class figures(nodes.General, nodes.Element):
    """Where a ``{checked}`` directive stood, until every page has been read."""


class Checked(SphinxDirective):
    """``{checked} equations``, ``exercises``, ``attacks``, ``pages`` or ``benchmarks``."""

    required_arguments = 1

    def run(self):
        kind = self.arguments[0]
        if kind != "equations" and kind not in FIGURES:
            raise self.error(f"checked: there is nothing to count for {kind!r}; know equations, {', '.join(FIGURES)}")
        self.env.checked_page = self.env.docname
        place = figures(kind=kind)
        self.set_source_info(place)
        return [place]


def _rewrite(app, env):
    """The page is always written anew: any test, record or page may have changed what it says."""
    return [page] if (page := getattr(env, "checked_page", None)) in env.found_docs else []


def _resolve(app, doctree, docname):
    root = Path(app.srcdir)
    for place in list(doctree.findall(figures)):
        try:
            if place["kind"] == "equations":
                made = equation_figures(root, *ledger.read(app))
            else:
                made = FIGURES[place["kind"]](root)
        except CheckedError as error:
            logger.warning("checked: %s", error, location=place, type="checked")
            made = []
        place.replace_self(made)


def setup(app):
    app.add_node(figures)
    app.add_directive("checked", Checked)
    app.connect("env-updated", _rewrite)
    app.connect("doctree-resolved", _resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

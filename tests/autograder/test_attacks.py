"""Hostile submissions: each earns nothing, leaves a clear record, and changes nothing for the honest one after it.

One idea a file, in ``attacks/``: a docstring says what it tries, then comes the code of the answer's cell. A print of
"FOUND" says that it got at something which it should not see. What the sandbox is good for, and what it is not, is in
``book/reference/grading.md``.
"""

import ast
import dataclasses
import functools
import gc
import html.parser
import json
import os
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
import torch
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from autograder.feedback import _safe_outputs
from autograder.grade import describe, grade_submission
from autograder.limits import Limits
from autograder.results import OUTCOMES, Result
from autograder.sandbox import NoSandbox, Sandbox, close_shared, limits_of, shared
from autograder.sanitise import FILTERS
from autograder.template import Assignment, Exercise, Template
from genmodels import data

ATTACKS = Path(__file__).parent / "attacks"
SETUP = "import sympy\nimport torch"
LIMITS = Limits(
    cell_seconds=3,
    total_seconds=20,
    grace_seconds=0.5,
    memory_bytes=500_000_000,
    scratch_bytes=20_000_000,
    kept_bytes=100_000,
    all_kept_bytes=300_000,
    runaway_bytes=2_000_000,
)
# What the next student sees of the world, and a right answer.
HONEST = """
import builtins, os, signal, sys, threading
print(sorted(os.listdir()), [(at, files) for at, _, files in os.walk("/scratch")], os.listdir("/proc"))
print(sorted(os.listdir("/dev")), os.listdir("/dev/shm"), sorted(os.environ.items()), threading.active_count())
print([(n, os.fstat(n).st_mode, os.fstat(n).st_size) for n in range(3)], sys.getrecursionlimit(), sorted(sys.modules))
print(torch.rand(2), torch.get_default_dtype(), torch.get_num_threads(), sorted(vars(builtins)))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), [signal.getsignal(n) == signal.SIG_DFL for n in (10, 12, 14, 15)])

def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_p - logvar_q + (logvar_q.exp() + (mu_q - mu_p) ** 2) / logvar_p.exp() - 1).sum(1)
"""


@dataclass(frozen=True)
class Attack:
    """A file of ``attacks/``, read."""

    exercise: str
    outcomes: tuple[str, ...]
    code: str


def read(path: Path) -> Attack:
    code = path.read_text(encoding="utf-8")
    about = dict(re.findall(r"^(\w+): (.+)$", ast.get_docstring(ast.parse(code)) or "", re.MULTILINE))
    if "Prelude" in about:
        code = (ATTACKS / "prelude" / f"{about['Prelude']}.py").read_text(encoding="utf-8") + "\n\n" + code
    return Attack(about["Exercise"], tuple(about["Outcome"].split(" or ")), code)


NAMES = sorted(path.stem for path in ATTACKS.glob("*.py"))
# They use their time up, and more.
SLOW = {name for name in NAMES if read(ATTACKS / f"{name}.py").outcomes[0] == "timed-out"}


def assignment_of(exercise: str) -> Assignment:
    """A notebook with one exercise of the course."""

    def cell(name: str, source: str, **flags: object) -> NotebookNode:
        made = new_code_cell(source, id=name)
        made.metadata = NotebookNode({"nbgrader": NotebookNode({"grade_id": name, "schema_version": 3, **flags})})
        return made

    answer = cell(exercise, f"def {exercise}(*a): ...", solution=True, grade=False, locked=False)
    check = cell(
        f"check-{exercise}", f'check("{exercise}", {exercise})', solution=False, grade=True, locked=True, points=5
    )
    file = "digits_vae.safetensors" if exercise == "digits_weights" else None
    notebook = new_notebook(cells=[new_code_cell(SETUP, id="setup"), answer, check])
    return Assignment(
        "course", {"lesson": Template("lesson", notebook, {exercise: Exercise(exercise, 5.0, answer, check, file)})}
    )


def grade(folder: Path, exercise: str, code: str, *own: str) -> Result:
    """The result of a notebook with this answer, after cells of the student's own."""
    folder.mkdir(exist_ok=True)
    assignment = assignment_of(exercise)
    cells = [new_code_cell(source) for source in own]
    cells += [
        new_code_cell(code if cell.id == exercise else cell.source, id=cell.id, metadata=cell.metadata)
        for cell in assignment.templates["lesson"].notebook.cells
    ]
    (folder / "lesson.ipynb").write_text(nbformat.writes(new_notebook(cells=cells)), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # a warning in the judge is none of a student's business
        return dataclasses.replace(grade_submission(folder, assignment, LIMITS, seed=3), seconds=0.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The warm process of all tests here, of which an attacker in the judge's environment would find a token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTACKED_TOKEN", "secret")
        try:
            close_shared()
            shared(LIMITS.start_seconds).start(limits_of(1 << 30, 1 << 20, 60)).kill()
        except NoSandbox as error:
            pytest.skip(str(error))
        yield shared(LIMITS.start_seconds)


@pytest.fixture(scope="module")
def undisturbed(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The result of the honest submission, before any attack."""
    # The first optimizer and the first digits import for seconds, which would be taken from an attack's time.
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    data.digits("test")
    result = grade(tmp_path_factory.mktemp("undisturbed"), "kl_normal", HONEST)
    assert (result.outcome, result.points) == ("graded", 5)
    return result.to_json()


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in NAMES])
def test_an_attack_earns_nothing_and_harms_nobody(name: str, sandbox: Sandbox, undisturbed: str, tmp_path: Path):
    attack = read(ATTACKS / f"{name}.py")
    resources = judges_resources()
    result = grade(tmp_path / "attack", attack.exercise, attack.code)
    assert result.points == 0
    (exercise,) = result.notebooks[0].exercises
    assert exercise.status in ("failed", "not-run"), exercise.message
    assert exercise.message
    assert result.outcome in attack.outcomes, result.message
    assert result.outcome == "graded" or (result.outcome in OUTCOMES and result.message)
    outputs = result.notebooks[0].executed["cells"][1]["outputs"]
    told = [exercise.message, *(str(output.get("text")) + str(output.get("evalue")) for output in outputs)]
    assert not any("FOUND" in text for text in told)
    check_record(result, tmp_path)
    assert grade(tmp_path / "honest", "kl_normal", HONEST).to_json() == undisturbed
    assert shared(LIMITS.start_seconds) is sandbox
    assert judges_resources() == resources


def judges_resources() -> tuple[int, int]:
    """How many files and threads this process has, what waits to be collected left out."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count()


# ------------------------------------------------------------------ the record


def check_record(result: Result, folder: Path) -> None:
    """Raise AssertionError unless the result can be written down, printed and looked at."""
    assert Result.from_json(result.to_json()) == result
    line = describe(result)
    assert line.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)
    assert all(len(e.message) < 5000 for e in result.notebooks[0].exercises)
    executed = nbformat.from_dict(result.notebooks[0].executed)
    nbformat.validate(executed)
    nbformat.write(executed, folder / "executed.ipynb")
    assert (folder / "executed.ipynb").stat().st_size < 10 * LIMITS.kept_bytes
    safe, resources = _safe_outputs(nbformat.read(folder / "executed.ipynb", as_version=4), {})
    page, _ = exporter().from_notebook_node(safe, resources)
    reader = _Page()
    reader.feed(page)
    assert reader.dangers == []


@functools.cache
def exporter() -> HTMLExporter:
    return HTMLExporter(template_name="basic", sanitize_html=True, filters=FILTERS)


# How nbconvert shows the colours of a terminal.
COLOURS = r"((background-)?color: rgb\(\d+,\d+,\d+\);? ?)+"
RUNS = {"script", "style", "link", "meta", "base", "iframe", "object", "embed", "form", "input", "svg", "math"}


class _Page(html.parser.HTMLParser):
    """Collects what a browser would run, load or obey in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.dangers: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in RUNS:
            self.dangers.append(tag)
        for name, given in attributes:
            value = (given or "").strip().lower()
            if (
                name.startswith("on")
                or name in ("srcdoc", "formaction")
                or (name == "style" and not re.fullmatch(COLOURS, value))
                or (name == "src" and not re.match(r"data:image/(png|jpeg|gif|svg\+xml);base64,[\w+/=]*$", value))
                or (name == "href" and not re.match(r"(https?:|mailto:|#)", value))
            ):
                self.dangers.append(f"{tag} {name}={value[:80]}")


def test_the_page_s_reader_sees_dangers():
    reader = _Page()
    reader.feed("<script></script><a href='javascript:x'>y</a><img src='http://x/' onerror=z><p style='color: red'>")
    assert len(reader.dangers) == 5


# ------------------------------------------------------------------ files that are handed in


def test_a_pickle_among_the_files_is_not_opened(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "attack").mkdir()
    mark = tmp_path / "owned"
    text = f"cos\nsystem\n(S'touch {mark}'\ntR."
    (tmp_path / "attack" / "digits_vae.safetensors").write_text(text)
    result = grade(tmp_path / "attack", "digits_weights", "def digits_weights():\n    return 'digits_vae.safetensors'")
    assert (result.points, mark.exists()) == (0, False)
    assert "not a readable safetensors file" in result.notebooks[0].exercises[0].message


def test_files_named_like_the_judge_s_modules_are_only_the_student_s(
    sandbox: Sandbox, undisturbed: str, tmp_path: Path
):
    (tmp_path / "attack").mkdir()
    for name in ("execute.py", "json.py", "torch.py", "sympy.py", "inside.py", "sitecustomize.py"):
        (tmp_path / "attack" / name).write_text("check = run_hidden = loads = lambda *a, **k: None")
    assert grade(tmp_path / "attack", "kl_normal", "def kl_normal(*a):\n    return a[0]").points == 0
    assert grade(tmp_path / "honest", "kl_normal", HONEST).to_json() == undisturbed


def test_many_cells_can_t_fill_the_judge_s_memory(sandbox: Sandbox, tmp_path: Path):
    result = grade(tmp_path / "attack", "kl_normal", HONEST, *["print('x' * 90_000)"] * 40)
    assert len(json.dumps(result.notebooks[0].executed)) < 2 * LIMITS.all_kept_bytes
    assert (result.outcome, result.points) == ("graded", 5)


def test_there_are_enough():
    assert len(NAMES) >= 40

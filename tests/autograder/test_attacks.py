"""What a lazy student might try in place of an answer: each earns nothing, and harms no honest answer after it.

The checks still run in the student's own process, and somebody who reads the grader's source can get past them: by
looking through the interpreter for the checks, by a thread that works while a test runs, by reading an expected value
from the calling frame, or by writing to the instructor's files. That ends only when answer and test no longer share a
process.
"""

import copy
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from autograder.classroom import grade
from autograder.course import Course
from autograder.errors import UserError
from autograder.execute import Limits
from autograder.grade import grade_submission
from autograder.results import Ledger
from autograder.template import Assignment

WRONG = "def kl_normal(mu_q, logvar_q, mu_p, logvar_p):\n    return mu_q.sum(1) + logvar_q.sum(1)\n"
RIGHT = """\
def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_p - logvar_q + (logvar_q.exp() + (mu_q - mu_p) ** 2) / logvar_p.exp() - 1).sum(1)
"""
NOTHING = "def slide_shortfall(x, w, s2, a, v):\n    return 0 * x\n"
ZEROS = "def elbo_terms(x, logits, mu, logvar):\n    zero = 0 * mu.sum(1)\n    return zero, zero, zero\n"
# Each is run in a notebook that has imported torch; what comes last defines the answer to the exercise.
ATTACKS = {
    "no answer, but the output that a right one has": (
        "kl_normal", WRONG + "print('kl_normal: all 8 properties hold.')\n10.0"
    ),
    "a check of its own": ("kl_normal", WRONG + "def check(exercise, answer):\n    print('all properties hold')"),
    "the public check replaced": (
        "kl_normal", WRONG + "import genmodels.checks as c\n"
        "c.check = c._property.run_properties = lambda *a: None"
    ),
    "the checks' table emptied": (
        "kl_normal",
        WRONG + "import dataclasses, genmodels.checks as c\n"
        "for name, e in c.EXERCISES.items():\n    c.EXERCISES[name] = dataclasses.replace(e, properties=())",
    ),
    "the hidden checks replaced": (
        "kl_normal", WRONG + "import autograder.hidden as h\nh.run_hidden = lambda *a: None\nh.HIDDEN.clear()"
    ),
    "the checks' comparison replaced": (
        "kl_normal", WRONG + "import genmodels.checks.vae_bound as b\n"
        "b.require_close = b.require_tensor = lambda *a, **k: None"
    ),
    "tensors that are always less": (
        "kl_normal", WRONG + "torch.Tensor.__le__ = lambda a, b: torch.ones_like(a, dtype=torch.bool)"
    ),
    "tensors that are always true": (
        "kl_normal", WRONG + "torch.Tensor.all = torch.Tensor.any = lambda *a, **k: torch.tensor(True)\n"
        "torch.Tensor.__bool__ = lambda a: True"
    ),
    "tensors replaced while the answer is called": (
        "kl_normal",
        "def kl_normal(mu_q, logvar_q, mu_p, logvar_p):\n"
        "    torch.Tensor.__le__ = lambda a, b: torch.ones_like(a, dtype=torch.bool)\n"
        "    return mu_q.sum(1) + logvar_q.sum(1)",
    ),
    "wanted numbers that are always zero": (
        "kl_normal", "def kl_normal(*a):\n    return 0 * (a[0] + a[1]).sum(1)\n"
        "torch.as_tensor = lambda value, **k: torch.zeros(len(value), dtype=torch.float64)"
    ),
    "exceptions that are no exceptions": (
        "kl_normal", WRONG + "import builtins\nclass Calm(Exception):\n    pass\n"
        "builtins.AssertionError = builtins.Exception = Calm"
    ),
    "builtins replaced": (
        "gap", "def gap(x, m, w, s2, v):\n    return 0 * x\nimport builtins\nbuiltins.abs = lambda x: 0"
    ),
    "builtins hidden behind a module's global": (
        "kl_normal", WRONG + "import torch\ntorch.len = torch.isinstance = lambda *a: 1\n"
        "torch._tensor.isinstance = lambda *a: True"
    ),
    "mathematics replaced": ("slide_shortfall", NOTHING + "import math\nmath.exp = math.sqrt = lambda x: 0.0"),
    "integrals that are zero": (
        "slide_shortfall", NOTHING + "torch.trapezoid = lambda y, x: torch.zeros(y.shape[:-1], dtype=torch.float64)"
    ),
    "the code of a function exchanged": (
        "elbo_terms", ZEROS + "from torch.distributions import kl_divergence\n"
        "kl_divergence.__code__ = (lambda p, q: 0).__code__"
    ),
    "a divergence of its own registered": (
        "elbo_terms", ZEROS + "from torch.distributions import Bernoulli, Normal, register_kl\n"
        "register_kl(Normal, Normal)(lambda p, q: torch.zeros_like(p.loc))\n"
        "Bernoulli.log_prob = lambda self, x: torch.zeros_like(x)"
    ),
    "SciPy's oracle replaced": (
        "log_mean_exp", "from scipy import special\nspecial.logsumexp = lambda a, **k: 0 * a[0]\n"
        "def log_mean_exp(t):\n    return 0 * t[0]"
    ),
    "SystemExit": ("kl_normal", "def kl_normal(*a):\n    raise SystemExit(0)"),
    "KeyboardInterrupt": ("kl_normal", "def kl_normal(*a):\n    raise KeyboardInterrupt"),
    "a test that skips itself": ("kl_normal", "import unittest\ndef kl_normal(*a):\n    raise unittest.SkipTest"),
    "a tensor with comparisons of its own": (
        "kl_normal", "class Agreeable(torch.Tensor):\n"
        "    def __sub__(self, other):\n        return torch.zeros_like(other)\n"
        "def kl_normal(a, *_):\n    return a.sum(1).as_subclass(Agreeable)"
    ),
    "a word that equals every other": (
        "predict_gap", "class Word(str):\n    __hash__ = str.__hash__\n"
        "    def __eq__(self, other):\n        return True\n"
        "def predict_gap():\n    return (Word('rises'),) * 3"
    ),
    "a tuple that equals every other": (
        "predict_gap", "class Words(tuple):\n    def __eq__(self, other):\n        return True\n"
        "def predict_gap():\n    return Words(('rises', 'rises', 'rises'))"
    ),
    "a number whose difference from any other is zero": (
        "training_step", "class Zero(float):\n    def __sub__(self, other):\n        return 0.0\n"
        "def training_step(*a):\n    return Zero()"
    ),
    "not a number": ("kl_normal", "def kl_normal(a, *_):\n    return float('nan') * a.sum(1)"),
    "the examples of the public check by heart": (
        "reparameterize", "def reparameterize(mu, logvar, eps):\n"
        "    wide = logvar > 1\n"
        "    return mu + eps * torch.where(wide, 2.0, 1.0) + wide * 3 * (logvar - logvar.detach())"
    ),
    "a name and nothing else": ("edit", "edit = None"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_earns_nothing_and_spoils_nothing(kernel_and_judge, attack: str):
    kernel, judge = kernel_and_judge
    exercise, code = ATTACKS[attack]
    assert kernel.execute("import torch", 60).status == "ok"
    assert kernel.execute(code, 60).status == "ok"
    _, verdict = judge(exercise, "globals()", 60)
    assert verdict.status == "failed", verdict.message
    assert kernel.execute(RIGHT, 60).status == "ok"
    _, verdict = judge("kl_normal", "globals()", 60)
    assert verdict.status == "passed", verdict.message


# ------------------------------------------------------------------ on the way from the kernel to the grade

VERDICT = '{"status": "passed", "message": "", "printed": "", "replaced": []}'
FORGED = f"import json\ndef forged(*a, **k):\n    return json.dumps([{VERDICT!r}, 'f' * 64])\n"
ON_THE_WAY = {
    "the judge replaced": FORGED
    + "import sys, types\nsys.modules['autograder.probe'] = types.SimpleNamespace(judge=forged)",
    "the judge deleted": "import sys\ndel sys.modules['autograder.probe']",
    "the answers of the shell replaced": FORGED
    + "shell = get_ipython()\n"
    + "def always(expressions):\n"
    + "    told = {'status': 'ok', 'data': {'text/plain': repr(forged())}, 'metadata': {}}\n"
    + "    return {name: told for name in expressions}\n"
    + "shell.user_expressions = always",
    "an earlier verdict played again": "import sys\n"
    "probe = sys.modules['autograder.probe']\n"
    "kept = probe.judge('double', {'double': lambda x: 2 * x}, 0, 'nonce')\n"
    "probe.judge = lambda *a: kept",
    "a module of the checks' name made in memory": "import sys, types\n"
    "sys.modules['toychecks'] = types.SimpleNamespace(check=lambda *a: None, run_hidden=lambda *a: None)",
}  # fmt: skip


@pytest.mark.parametrize("attack", ON_THE_WAY)
def test_a_verdict_cannot_be_forged(attack: str, solve, assignment: Assignment, limits: Limits, tmp_path: Path):
    notebook = solve(double="def double(x):\n    return 3 * x", mean="def mean(numbers):\n    return 0")
    notebook.cells.insert(3, new_code_cell(ON_THE_WAY[attack]))
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(notebook))
    result = grade_submission(tmp_path, assignment, limits)
    assert result.points == 0
    assert {e.status for e in result.notebooks[0].exercises if e.name != "why"} == {"failed"}, result.message


def test_what_was_replaced_is_noted(solve, assignment: Assignment, limits: Limits, tmp_path: Path):
    notebook = solve()
    notebook.cells.insert(3, new_code_cell("import math\nmath.exp = lambda x: 1.0"))
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(notebook))
    result = grade_submission(tmp_path, assignment, limits)
    assert result.points == 5
    assert result.notebooks[0].notes == ["the notebook had replaced math.exp; the check of double used the original"]


def test_a_file_named_like_a_library_is_not_what_the_checks_use(
    solve, assignment: Assignment, limits: Limits, tmp_path: Path
):
    for name in ("toychecks.py", "hmac.py", "math.py", "contextlib.py"):
        (tmp_path / name).write_text("check = run_hidden = new = lambda *a, **k: None")
    notebook = solve(double="def double(x):\n    return 3 * x")
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(notebook))
    result = grade_submission(tmp_path, assignment, limits)
    assert (result.outcome, result.points) == ("graded", 0)


def test_a_submission_that_changes_the_course_s_own_files_ends_the_run(
    root: Path, solve, limits: Limits, empty_gradebook: Path, tmp_path: Path
):
    own = tmp_path / "repository"
    shutil.copytree(root / "solutions", own / "solutions")
    source = own / "solutions" / "toy" / "lesson.py"
    notebook = copy.deepcopy(solve())
    notebook.cells.append(new_code_cell(f"open({str(source)!r}, 'a').write('# graciously')"))
    for student, work in (("ann", solve()), ("eve", notebook), ("zoe", solve())):
        (tmp_path / "handed-in" / student).mkdir(parents=True)
        (tmp_path / "handed-in" / student / "lesson.ipynb").write_text(nbformat.writes(work))
    course = Course(tmp_path / "course")
    course.make()
    shutil.copyfile(empty_gradebook, course.database)
    lines: list[str] = []
    with pytest.raises(UserError, match="files changed while .*eve.* graded"):
        grade(own, "toy", tmp_path / "handed-in", course, limits, lines.append, checks=("toychecks", "toychecks"))
    assert not any(" eve: " in line for line in lines)
    assert Ledger(course.ledger).last("toy", "eve") is None

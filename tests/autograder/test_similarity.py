"""Similar code: what copying leaves, however it is dressed up, and what independent people write."""

import ast
import importlib
import inspect
import itertools
import random
import re
import textwrap
from pathlib import Path

import pytest

from autograder.similarity import GRAM, WINDOW, find_copies, find_pairs, fingerprint, normalise, weight
from autograder.source import read_assignment
from tests.notebooks import mutants

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {
    "vae": ("vae_bound", "vae_model"),
    "gan": ("gan_game", "gan_training"),
    "diffusion": ("diffusion_process", "diffusion_model"),
}
TRAINING = '''
import torch

def train(model, images, steps, rate=1e-3):
    """Train it."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    history = []
    for step in range(steps):
        batch = images[torch.randint(len(images), (64,))]
        optimiser.zero_grad()
        recon, divergence = model(batch)
        loss = (recon + divergence).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        history.append(loss.item())
        if step % 100 == 0:
            print(f"step {step}: {loss.item():.2f}")
    return history


class Encoder(torch.nn.Module):
    def __init__(self, pixels, hidden, codes):
        super().__init__()
        self.first = torch.nn.Linear(pixels, hidden)
        self.mean = torch.nn.Linear(hidden, codes)
        self.spread = torch.nn.Linear(hidden, codes)

    def forward(self, images):
        inner = torch.relu(self.first(images.flatten(1)))
        return self.mean(inner), self.spread(inner).clamp(-10, 10)
'''


def words(source: str) -> list[str]:
    return [word for word, _ in normalise(source)]


# ------------------------------------------------------------------ normalising


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("total = 1\nprint(total + 2)", "s = 7\nprint(s + 9)"),
        ("def f(x):\n    return x", 'def f(y):\n    """Says more."""\n    # and more\n    return y'),
        (
            "def f(x, n=1):\n    return x",
            "def g(image: Tensor, count: int = 3) -> dict[str, Tensor]:\n    return image",
        ),
        ("size: int = 3\nprint(size)", "size = 3\nprint(size)"),
        ("import torch as t\nt.exp(0)", "import torch as torch_\ntorch_.exp(1)"),
        ("x = f'a {1} b'\ny = x", "x = 'plain'\ny = x"),
        ("%matplotlib inline\nx = 1\ny = x", "x = 1\ny = x"),
        ("x = (1 +\n     2)", "x = (1 + 2)"),
        ("for i in range(3):\n  print(i)", "for index in range(5):\n        print(index)"),
        ("print(self.encoder(1))", "print(self.net(1))"),
        ("ü = 'é'; é: int = ü", "x = 'é'; y = x"),
    ],
)
def test_disguises_are_taken_off(one: str, other: str):
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = torch.exp(y)", "x = torch.log(y)"),
        ("x = a + b", "x = a - b"),
        ("f(x, dim=0)", "f(x, axis=0)"),
        ("sum(x)", "max(x)"),
    ],
)
def test_what_is_computed_stays(one: str, other: str):
    assert words(one) != words(other)


@pytest.mark.parametrize(
    "source", ["def f(x:\n  return 1 +", "'''never closed", "\x00", "((((" * 2000, "é" * 10, "", "  x\n y"]
)
def test_what_is_no_python_stops_nothing(source: str):
    fingerprint(source)
    words(source)


def test_a_shared_passage_of_that_length_is_found_wherever_it_stands():
    # The guarantee of winnowing, with every token a word of its own.
    generator = random.Random(0)
    for _ in range(50):
        passage = [f"torch.f{generator.randrange(10**6)}()" for _ in range(GRAM + WINDOW)]
        before, after = (
            [f"torch.g{generator.randrange(10**6)}()" for _ in range(generator.randrange(40))] for _ in range(2)
        )
        one, other = ("\n".join(lines) for lines in (before + passage, after + passage + before))
        assert set(fingerprint(one).hashes.tolist()) & set(fingerprint(other).hashes.tolist())


def test_a_hash_of_many_counts_less():
    assert weight(1) == weight(2) == 1
    assert 1 > weight(3) > weight(10) > weight(60) > 0


# ------------------------------------------------------------------ copies


def renamed(source: str) -> str:
    for old, new in {
        "optimiser": "opt",
        "history": "losses",
        "images": "x",
        "batch": "b",
        "first": "fc1",
        "train": "fit",
    }.items():
        source = re.sub(rf"\b{old}\b", new, source)
    return source


def reordered(source: str) -> str:
    tree = ast.parse(source)
    return "\n".join(ast.get_source_segment(source, node) or "" for node in (tree.body[0], *tree.body[:0:-1]))


def commented(source: str) -> str:
    lines = [line for line in source.splitlines() if '"""' not in line]
    return "\n".join(f"{line}  # here" if line else "# a word\n" for line in lines)


def all_at_once(source: str) -> str:
    return ast.unparse(ast.parse(renamed(reordered(commented(source)))))


@pytest.mark.parametrize("disguise", [str, renamed, reordered, commented, all_at_once])
def test_a_copy_is_found_in_disguise(disguise):
    others = {f"other-{i}": {"a": answer} for i, answer in enumerate(OTHERS)}
    (pair,) = find_pairs({"ann": {"a": TRAINING}, "bob": {"a": disguise(TRAINING)}, **others}, [])
    assert (pair.first, pair.second) == ("ann", "bob")
    assert pair.share > 0.8
    assert pair.tokens > 150
    assert pair.pieces == ("a",)
    assert "for step in range(steps)" in pair.one.text or "class Encoder" in pair.one.text
    assert pair.other.text


def test_renaming_functions_of_one_s_own_hides_nothing_from_the_cells_that_call_them():
    def calls(helper: str) -> dict[str, str]:
        body = "".join(f"    y = {helper}(y * {i}, torch.f{i}(x)) - {helper}(x)\n" for i in range(20))
        return {"cell 3": f"def {helper}(a, b=1):\n    return a * b\n", "answer": f"def answer(x, y):\n{body}"}

    (pair,) = find_pairs({"ann": calls("scaled"), "bob": calls("times"), "cy": {"answer": OTHERS[0]}}, [])
    assert pair.share == pytest.approx(1)


OTHERS = [
    """import torch
def train(model, x, n):
    opt = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(n):
        opt.zero_grad()
        model.loss(x).backward()
        opt.step()
""",
    """def train(net, data, steps):
    return [net.fit(data[i : i + 10]).sum() for i in range(0, steps, 10) if i > 3]
""",
]


def distinct(word: str, number: int) -> str:
    """An answer like no other with this word and number."""
    return (
        f"def f{number}(x):\n    return torch.{word}{number}(x, x).{word}(3) + torch.{word}{number}a(x) - {word}[x]()\n"
    )


def test_one_copied_answer_among_many_of_their_own_is_told():
    mine, theirs = ({str(i): distinct(word, i) for i in range(40)} for word in ("exp", "log"))
    assert find_pairs({"ann": mine, "bob": theirs, "cy": {}}, []) == []
    (pair,) = find_pairs(
        {"ann": mine | {"train": TRAINING}, "bob": theirs | {"train": renamed(TRAINING)}, "cy": {}}, []
    )
    assert pair.pieces == ("train",)


def test_a_ring_is_told_in_a_class_and_what_all_share_is_not():
    ring = {f"ring-{i}": {"a": TRAINING} for i in range(5)}
    rest = {f"s{i}": {"a": distinct("exp", 3 * i) + distinct("log", 3 * i + 1)} for i in range(55)}
    assert len(find_pairs(ring | rest, [])) == 10
    assert find_pairs({name: {"a": TRAINING} for name in (*ring, *rest)}, []) == []


def test_the_release_and_the_solutions_do_not_count():
    two = {"ann": {"a": TRAINING}, "bob": {"a": TRAINING}}
    assert len(find_pairs(two, [])) == 1
    assert find_pairs(two, [TRAINING]) == []
    assert find_pairs(two, [], [TRAINING]) == []
    (copy,) = find_copies({"ann": {"a": renamed(TRAINING)}, "bob": {"a": OTHERS[0]}}, [], {"a": TRAINING}, {})
    assert (copy.first, copy.second) == ("ann", "the instructor's solution")


def library() -> dict[str, str]:
    from autograder.report import read_library

    return read_library()


def test_the_library_s_source_is_known_again():
    functions = library()
    source = functions["genmodels.gan.gradient_penalty"]
    body = re.sub(r"\bcritic\b", "judge", ast.unparse(ast.parse(source)))
    copies = find_copies({"ann": {"gradient_penalty": body}, "bob": {"gradient_penalty": OTHERS[0]}}, [], {}, functions)
    assert [(copy.first, copy.second) for copy in copies] == [("ann", "genmodels.gan.gradient_penalty")]
    assert copies[0].share > 0.9
    assert copies[0].other.text


@pytest.mark.parametrize("assignment", NOTEBOOKS)
def test_independent_right_answers_are_not_told(assignment: str):
    sources = read_assignment(ROOT / "solutions", assignment)
    release = [cell.text for source in sources for cell in source.cells if cell.kind == "code" and cell.role is None]
    solutions = {
        name: cell.text for source in sources for name, cell in source.exercises.items() if cell.kind == "code"
    }
    answers = right_answers(assignment)
    # As many people as there are ways to be right, each with a way of their own in every exercise ...
    most = max(map(len, answers.values()))
    people = {f"p{i}": {name: ways[i] for name, ways in answers.items() if i < len(ways)} for i in range(most)}
    assert find_pairs(people, release, solutions.values()) == []
    assert find_copies(people, release, solutions, library()) == []
    # ... of whom one then copies from another, in disguise: that pair, and no other.
    people["copier"] = {name: renamed(commented(code)) for name, code in people["p0"].items()}
    (pair,) = find_pairs(people, release, solutions.values())
    assert (pair.first, pair.second) == ("p0", "copier")
    # A class that chances upon the same few ways again and again in its short answers, as classes do.
    short = {name: ways for name, ways in answers.items() if len(words(solutions[name])) < 60}
    generator = random.Random(1)
    crowd = {f"c{i}": {name: generator.choice(ways) for name, ways in short.items()} for i in range(60)}
    assert find_pairs(crowd, release, solutions.values()) == []


def right_answers(assignment: str) -> dict[str, list[str]]:
    """The right answers that the tests of the notebooks hold, by exercise: real ones, written independently."""
    modules = [importlib.import_module(f"tests.notebooks.mutants.{name}").__name__ for name in NOTEBOOKS[assignment]]
    answers: dict[str, list[str]] = {}
    for answer in mutants.ANSWERS:
        if not answer.right or answer.function.__module__ not in modules:
            continue
        source = textwrap.dedent(inspect.getsource(answer.function))
        source = re.sub(r"def \w+\(", f"def {answer.exercise}(", source[source.index("def ") :], count=1)
        known = answers.setdefault(answer.exercise, [])
        if source not in known:  # some are made by one function from several tables
            known.append(source)
    return answers


@pytest.mark.slow
def test_a_thousand_submissions_have_no_pairs_compared_one_by_one():
    # 1,000 students with 10 answers of 60 to 80 tokens; two of them share everything.
    generator = random.Random(2)

    def answer() -> str:
        names = [f"torch.{generator.choice('abcdefgh')}{generator.randrange(200)}" for _ in range(12)]
        return "def f(x, y):\n" + "\n".join(f"    x = {name}(x, dim={i}) + y" for i, name in enumerate(names))

    crowd = {f"s{i}": {str(k): answer() for k in range(10)} for i in range(1000)}
    crowd["copier"] = crowd["s7"]
    (pair,) = find_pairs(crowd, [])
    assert (pair.first, pair.second) == ("s7", "copier")


def test_pairs_come_out_the_same_at_every_run():
    people = {f"p{i}": {"a": TRAINING if i < 2 else OTHERS[i % 2]} for i in range(4)}
    assert find_pairs(people, []) == find_pairs(dict(people), [])
    assert list(itertools.islice((p.first for p in find_pairs(people, [])), 1)) == ["p0"]

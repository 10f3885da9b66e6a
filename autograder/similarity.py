"""Which submissions hold the same code: winnowing (Schleimer, Wilkerson, Aiken 2003) over normalised Python tokens.

A piece of code becomes a sequence of tokens in which comments, docstrings, annotations and layout are gone, every name
that it binds is one symbol, and so is every literal; what it calls (``torch.logsumexp``) stays. Every run of ``GRAM``
tokens is hashed, and of each ``WINDOW`` neighbouring hashes the least is kept: a passage of ``GRAM + WINDOW - 1``
tokens that two pieces share leaves at least one hash in both, wherever it stands.

Short exercises have few right answers, so that two people may write the same and never have met. Three things keep
that apart from copying. What the release and the solutions hold does not count. A hash that k students have counts
2/k. And a pair is told only if it shares a large part, and enough of it.
"""

import ast
import itertools
import keyword
import math
import re
import textwrap
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import coo_array, csr_array, triu

GRAM, WINDOW = 12, 5
# A pair of students is told if this part of all that the one wrote is with the other, and is worth this many hashes
# that nobody else has. Independent right answers to our exercises stay below 0.15.
SHARE, WORTH = 0.6, 20.0
# So it is for this part of one answer, of which only hashes count that no more than RARE students have.
SHARE_OF_ANSWER, WORTH_OF_ANSWER, RARE = 0.8, 16.0, 3
# An answer is told if this part of it stands in one function of the library, in this many hashes at least.
SHARE_OF_LIBRARY, WORTH_OF_LIBRARY = 0.7, 8
MOST_CHARACTERS = 30_000  # of one piece
MOST_LINES = 14  # that a passage shows
SOLUTION = "the instructor's solution"

Code = Mapping[str, str]  # the pieces that a student wrote, by name: an answer's exercise, or a cell of their own


@dataclass(frozen=True)
class Passage:
    """The longest stretch of shared code: the piece that it stands in, and its lines there."""

    piece: str
    text: str


@dataclass(frozen=True)
class Pair:
    """Two students, or a student and what else was compared, that hold the same code.

    ``share`` is the part of the smaller one's own code that the other holds, or the part of the one answer that is
    told. ``tokens`` is how much of the first one's code that covers, and ``pieces`` are those of it that hold some.
    """

    first: str
    second: str
    share: float
    tokens: int
    pieces: tuple[str, ...]
    one: Passage
    other: Passage


# ------------------------------------------------------------------ from source to tokens


_TOKEN = re.compile(
    r"""
      (?P<skip> \#[^\n]* | \s+ | \\ )
    | (?P<string> [rbfuRBFU]{0,2} (?: '{3}(?:\\.|[^\\])*?'{3} | "{3}(?:\\.|[^\\])*?"{3}
                                   | '(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*" ) )
    | (?P<number> \.?\d[\w.]*(?:(?<=[eE])[+-]\d+)? )
    | (?P<name> \w+ )
    | (?P<sign> \*\*=|//=|>>=|<<=|\.\.\.|->|:=|==|!=|<=|>=|\*\*|//|<<|>>|[-+*/%&|^@]=|. )
    """,
    re.VERBOSE | re.DOTALL,
)


def normalise(source: str, bound: Iterable[str] = ()) -> list[tuple[str, int]]:
    """The tokens of a piece of Python, normalised, each with its line; of what is no Python, those that can be read.

    ``bound`` names what its writer defines elsewhere.
    """
    source = source[:MOST_CHARACTERS].replace("\r\n", "\n") + "\n"
    tree = _parse(source)
    if tree is None:  # a notebook's magics are no Python; they leave their line empty, so that the numbers stay right
        source = re.sub(r"(?m)^[ \t]*[%!?].*$", "", source)
        tree = _parse(source)
    starts = _line_starts(source)
    facts = _Facts() if tree is None else _read_tree(tree, source, starts)
    facts.bound.update(bound)
    words, offsets = _words(source, facts)
    return list(zip(words, np.searchsorted(starts, offsets, side="right").tolist(), strict=True))


def _parse(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\d" in a string, say, which is the student's business
            return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _line_starts(source: str) -> list[int]:
    return [0, *itertools.accumulate(len(line) + 1 for line in source.split("\n"))]


@dataclass
class _Facts:
    """What the syntax tree says: the names that are bound, what imports rename, and what to leave out.

    ``skipped`` has the end of each docstring and annotation by its start, as offsets; ``annotations`` are the starts of
    the latter, which take the colon or arrow before them along.
    """

    bound: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    skipped: dict[int, int] = field(default_factory=dict)
    annotations: set[int] = field(default_factory=set)


def _read_tree(tree: ast.Module, source: str, starts: list[int]) -> _Facts:
    facts = _Facts()
    lines = source.split("\n")

    def offset(line: int, column: int) -> int:
        text = lines[line - 1] if line <= len(lines) else ""
        before = text if text.isascii() else text.encode()[:column].decode("utf-8", "ignore")  # columns are bytes
        return starts[line - 1] + (column if text.isascii() else len(before))

    def skip(node: ast.expr | ast.stmt | None, annotation: bool = True) -> None:
        if node is not None:
            start = offset(node.lineno, node.col_offset)
            facts.skipped[start] = offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
            if annotation:
                facts.annotations.add(start)

    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.Attribute(attr=name, ctx=ast.Store()):
                facts.bound.add(name)
            case ast.arg(arg=name, annotation=annotation):
                facts.bound.add(name)
                skip(annotation)
            case ast.FunctionDef(name=name, returns=returns) | ast.AsyncFunctionDef(name=name, returns=returns):
                facts.bound.add(name)
                skip(returns)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                facts.bound.add(name)
            case ast.AnnAssign(annotation=annotation):
                skip(annotation)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                facts.aliases |= {one.asname: one.name for one in names if one.asname}
            case ast.Expr(value=ast.Constant(value=str())):
                skip(node, annotation=False)
    return facts


def _words(source: str, facts: _Facts) -> tuple[list[str], list[int]]:
    """The normalised tokens, and where in the source each begins."""
    words: list[str] = []
    offsets: list[int] = []
    until = 0
    before = ("", "")  # the last two tokens as written
    for token in _TOKEN.finditer(source):
        kind, at = token.lastgroup, token.start()
        if kind == "skip" or at < until:
            continue
        if at in facts.skipped:
            until = facts.skipped[at]
            if at in facts.annotations and words and words[-1] in (":", "->"):
                words.pop()
                offsets.pop()
            continue
        text = token[0]
        if kind == "string":
            word = "''"
        elif kind == "number":
            word = "0"
        elif kind != "name" or keyword.iskeyword(text):
            word = text
        elif text in facts.bound or before == ("self", "."):  # ``self.encoder`` is the writer's own name
            word = "name"
        else:
            word = facts.aliases.get(text, text)
        words.append(word)
        offsets.append(at)
        before = before[1], text
    return words, offsets


# ------------------------------------------------------------------ from tokens to fingerprints


@dataclass(frozen=True)
class Prints:
    """The fingerprints of one piece of code: the hashes kept, the first token and the line of each, its tokens."""

    hashes: np.ndarray  # (n,) uint64
    places: np.ndarray  # (n,) the position of the first of its GRAM tokens
    lines: np.ndarray  # (tokens,) the line of each token


@lru_cache(maxsize=50_000)  # most cells of a class are the released ones
def fingerprint(source: str, bound: frozenset[str] = frozenset()) -> Prints:
    """Winnow one piece of code; ``bound`` as in ``normalise``."""
    tokens = normalise(source, bound)
    lines = np.array([line for _, line in tokens], dtype=np.int64)
    if len(tokens) < GRAM:
        return Prints(np.empty(0, np.uint64), np.empty(0, np.int64), lines)
    codes = np.array([zlib.crc32(word.encode("utf-8", "replace")) for word, _ in tokens], dtype=np.uint64)
    grams = np.zeros(len(codes) - GRAM + 1, dtype=np.uint64)
    for offset in range(GRAM):  # a polynomial in the tokens, modulo 2**64
        grams = grams * np.uint64(0x9E3779B97F4A7C15) + codes[offset : offset + len(grams)]
    grams ^= grams >> np.uint64(29)  # and its bits stirred, so that the least hash is as good as a random one
    grams *= np.uint64(0xBF58476D1CE4E5B9)
    grams ^= grams >> np.uint64(32)
    if len(grams) <= WINDOW:
        chosen = np.array([int(grams.argmin())])
    else:
        windows = sliding_window_view(grams, WINDOW)  # (windows, WINDOW)
        # Of equal hashes the rightmost, as the paper has it: neighbouring windows then choose the same one.
        rightmost = WINDOW - 1 - windows[:, ::-1].argmin(axis=1)
        chosen = np.unique(np.arange(len(windows)) + rightmost)
    return Prints(grams[chosen], chosen, lines)


def _hashes(sources: Iterable[str]) -> set[int]:
    return {one for source in sources for one in fingerprint(source).hashes.tolist()}


@dataclass(frozen=True)
class _Work:
    """What somebody wrote, fingerprinted piece by piece; ``hashes`` are each piece's that count."""

    code: Code
    prints: dict[str, Prints]
    hashes: dict[str, set[int]]

    @property
    def whole(self) -> set[int]:
        return set().union(*self.hashes.values())


def _work(code: Code, released: Collection[str], ignored: set[int]) -> _Work:
    # Functions of the writer's own have names of their own, in the pieces that call them too.
    own = (name for source in code.values() if source not in released for name in _DEFINED.findall(source))
    bound = frozenset(own) - set(code)
    prints = {name: fingerprint(source, bound) for name, source in code.items()}
    return _Work(code, prints, {name: set(one.hashes.tolist()) - ignored for name, one in prints.items()})


_DEFINED = re.compile(r"(?m)^(?:async\s+)?(?:def|class)\s+(\w+)")


# ------------------------------------------------------------------ from fingerprints to pairs


def find_pairs(submissions: Mapping[str, Code], release: Iterable[str], solutions: Iterable[str] = ()) -> list[Pair]:
    """The pairs of students who hold the same code, most alike first.

    ``release`` and ``solutions`` are pieces of code that everybody has, or is led to; they do not count.
    """
    released = set(release)
    ignored = _hashes([*released, *solutions])
    students = list(submissions)
    works = [_work(code, released, ignored) for code in submissions.values()]
    wholes = [work.whole for work in works]
    owners = Counter(one for hashes in wholes for one in hashes)
    weights = {one: weight(number) for one, number in owners.items()}
    rare = {one: float(number <= RARE) for one, number in owners.items()}
    size = [sum(weights[one] for one in hashes) for hashes in wholes]
    told = {(i, j): share for i, j, share in _alike(wholes, weights, size, SHARE, WORTH)}
    for name in dict.fromkeys(name for work in works for name in work.code):
        answers = [work.hashes.get(name, set()) for work in works]
        for i, j, share in _alike(answers, rare, list(map(len, answers)), SHARE_OF_ANSWER, WORTH_OF_ANSWER):
            told.setdefault((i, j), share)
    pairs = [
        _pair(students[i], students[j], works[i], works[j], share, wholes[i] & wholes[j])
        for (i, j), share in told.items()
    ]
    return sorted(pairs, key=_order)


def find_copies(
    submissions: Mapping[str, Code], release: Iterable[str], solutions: Code, library: Mapping[str, str]
) -> list[Pair]:
    """The students whose answers stand in the library, or whose work is the instructor's solution, most alike first.

    ``library`` gives the source of each function or class that answers should not be copied from.
    """
    released = set(release)
    ignored = _hashes(released)
    answers = _work(solutions, (), ignored)
    theirs = {name: _work({name: source}, (), ignored) for name, source in library.items()}
    functions: dict[int, list[str]] = defaultdict(list)
    for name, work in theirs.items():
        for one in work.hashes[name]:
            functions[one].append(name)
    found: dict[tuple[str, str], Pair] = {}
    for student, code in submissions.items():
        work = _work(code, released, ignored)
        whole, both = work.whole, work.whole & answers.whole
        if len(both) >= max(WORTH, SHARE * len(whole)):
            found[student, SOLUTION] = _pair(student, SOLUTION, work, answers, len(both) / len(whole), both)
        for name, hashes in work.hashes.items():
            shared = Counter(function for one in hashes for function in functions.get(one, ()))
            for function, number in shared.items():
                share = number / len(hashes)
                before = found.get((student, function))
                if number >= WORTH_OF_LIBRARY and share >= SHARE_OF_LIBRARY and (not before or share > before.share):
                    one_piece = _Work({name: code[name]}, {name: work.prints[name]}, {name: hashes})
                    both = hashes & theirs[function].hashes[function]
                    found[student, function] = _pair(student, function, one_piece, theirs[function], share, both)
    return sorted(found.values(), key=_order)


def _order(pair: Pair) -> tuple[float, int, str, str]:
    return -pair.share, -pair.tokens, pair.first, pair.second


def weight(students: int) -> float:
    """What a hash counts that so many students have: 1 up to two of them, then less and less."""
    return min(1.0, 2 / students)


def _alike(
    documents: list[set[int]], weights: dict[int, float], size: Sequence[float], share: float, worth: float
) -> Iterator[tuple[int, int, float]]:
    """Each two documents that share at least that part and worth, by number, with the part: by an inverted index."""
    column: dict[int, int] = {}
    entries = [
        (row, column.setdefault(one, len(column)), math.sqrt(weights[one]))
        for row, hashes in enumerate(documents)
        for one in hashes
        if weights[one] > 0
    ]
    if not entries:
        return
    rows, columns, values = zip(*entries, strict=True)
    index = csr_array((values, (rows, columns)), shape=(len(documents), len(column)))
    shared = coo_array(triu(index @ index.T, k=1))  # (documents, documents) the worth of what each two share
    i, j = shared.coords
    whole = np.asarray(size, dtype=float)
    part = shared.data / np.maximum(np.minimum(whole[i], whole[j]), 1e-12)
    for place in np.flatnonzero((shared.data >= worth - 1e-9) & (part >= share - 1e-9)):
        yield int(i[place]), int(j[place]), min(float(part[place]), 1.0)


# ------------------------------------------------------------------ what a pair shares, to look at


def _pair(first: str, second: str, one: _Work, other: _Work, share: float, shared: set[int]) -> Pair:
    covered = {name: _covered(prints, shared) for name, prints in one.prints.items()}
    pieces = tuple(name for name, tokens in covered.items() if tokens)
    left, hashes = _longest(one, shared)
    right, _ = _longest(other, hashes)
    return Pair(first, second, share, sum(covered.values()), pieces, left, right)


def _covered(prints: Prints, shared: set[int]) -> int:
    """How many tokens of a piece lie in the runs with these hashes."""
    inside = np.zeros(len(prints.lines), dtype=bool)
    for one, place in zip(prints.hashes.tolist(), prints.places.tolist(), strict=True):
        inside[place : place + GRAM] |= one in shared
    return int(inside.sum())


def _longest(work: _Work, shared: set[int]) -> tuple[Passage, set[int]]:
    """The longest unbroken stretch of a submission with these hashes, and the hashes in it."""
    best: tuple[int, str, int, int, set[int]] = (0, "", 0, 0, set())
    for name, prints in work.prints.items():
        start, end, hashes = 0, 0, set[int]()
        for one, place in zip(prints.hashes.tolist(), prints.places.tolist(), strict=True):
            if one not in shared:
                continue
            if place > end:
                start, hashes = place, set()
            end = place + GRAM
            hashes.add(one)
            if end - start > best[0]:
                best = end - start, name, int(prints.lines[start]), int(prints.lines[end - 1]), set(hashes)
    _, name, top, bottom, hashes = best
    lines = work.code.get(name, "").splitlines()[top - 1 : bottom]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], "..."]
    return Passage(name, textwrap.dedent("\n".join(line[:200] for line in lines))), hashes

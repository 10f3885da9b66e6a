"""The report as one HTML page that needs nothing else: no server, no network, no script."""

import math
import statistics
from collections.abc import Iterable
from html import escape
from pathlib import Path

from autograder.report import ItemFacts, Report
from autograder.results import OUTCOMES
from autograder.similarity import (
    GRAM,
    RARE,
    SHARE,
    SHARE_OF_ANSWER,
    SHARE_OF_LIBRARY,
    WINDOW,
    WORTH,
    WORTH_OF_ANSWER,
    WORTH_OF_LIBRARY,
    Pair,
)

MOST_PAIRS = 100  # that the page lists
LONGEST = 1200  # characters of a message
BINS = 10
CSS = (Path(__file__).parent / "pages" / "report.css").read_text(encoding="utf-8")
# Nothing of what students wrote may load or run anything, even if it escaped being escaped.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report_html(report: Report, names: bool = True) -> str:
    """The page. Without ``names`` it tells nothing of single students, and can be put before the class."""
    title = f"Report: {report.marks.assignment}"
    parts = [_head(report), _histogram(report), _exercises(report)]
    if names:
        parts += [_looks(report), _waiting(report), _missing(report), _late(report), _similar(report)]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<title>{escape(title)}</title>\n'
        f"<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    totals = [row.total for row in report.handed_in]
    most = report.marks.most
    waiting = sum(row.waiting for row in report.handed_in)
    tiles = [
        (str(len(report.handed_in)), "handed in"),
        (str(len(report.missing)), "missing"),
        (f"{statistics.fmean(totals):.1f}", f"mean of {most:g} points"),
        (f"{statistics.median(totals):.1f}", "median"),
        (str(len({look.row.student for look in report.looks})), "need a look"),
        (str(waiting), f"{_plural(waiting, 'answer')} to grade by hand"),
    ]
    items = "".join(f"<li><b>{escape(number)}</b><span>{escape(what)}</span></li>" for number, what in tiles)
    note = (
        f'<p class="soft">Points as they stand: {waiting} {_plural(waiting, "answer")} still to be graded by hand '
        f"{'counts' if waiting == 1 else 'count'} as 0 until then.</p>"
        if waiting
        else ""
    )
    return f"<h1>{escape(report.marks.assignment)}: how the class did</h1>\n{note}\n<ul class=tiles>{items}</ul>"


# ------------------------------------------------------------------ the distribution


def bins(totals: list[float], most: float) -> list[int]:
    """How many totals lie in each tenth of the points; a total on a border belongs to the upper bin."""
    counts = [0] * BINS
    for total in totals:
        counts[min(BINS - 1, max(0, math.floor(BINS * total / most + 1e-9)))] += 1
    return counts


def _histogram(report: Report) -> str:
    most = report.marks.most
    counts = bins([row.total for row in report.handed_in], most)
    edges = [f"{most * i / BINS:g}" for i in range(BINS + 1)]
    width, height, left, right, bottom, top = 480, 250, 30, 14, 42, 22
    step = (width - left - right) / BINS
    highest = max(counts) or 1
    scale = (height - bottom - top) / highest
    base = height - bottom
    shapes = []
    for tick in _ticks(highest):
        y = base - tick * scale
        shapes.append(f'<line class="axis" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        shapes.append(f'<text class="quiet" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick}</text>')
    for i, count in enumerate(counts):
        x = left + i * step
        if count:
            y = base - count * scale
            shapes.append(
                f'<rect x="{x + 3:.1f}" y="{y:.1f}" width="{step - 6:.1f}" height="{base - y:.1f}" rx="2" '
                f'fill="var(--bar)"/><text x="{x + step / 2:.1f}" y="{y - 6:.1f}" text-anchor="middle">{count}</text>'
            )
    for i, edge in enumerate(edges):
        shapes.append(
            f'<text class="quiet" x="{left + i * step:.1f}" y="{base + 18}" text-anchor="middle">{edge}</text>'
        )
    shapes.append(
        f'<text class="quiet" x="{(left + width - right) / 2:.0f}" y="{height - 6}" text-anchor="middle">points</text>'
    )
    told = ", ".join(f"{edges[i]} to {edges[i + 1]}: {count}" for i, count in enumerate(counts) if count)
    rows = "".join(f"<tr><td>{edges[i]} to {edges[i + 1]}</td><td class=n>{c}</td></tr>" for i, c in enumerate(counts))
    return f"""<h2>Distribution of points</h2>
<figure>
<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="dist-title dist-desc">
<title id="dist-title">Histogram of the points of {len(report.handed_in)} students</title>
<desc id="dist-desc">Students by points: {told}.</desc>
{"".join(shapes)}
</svg>
<figcaption>Students who handed in, by points. A bar holds its left edge; the last one holds both.</figcaption>
</figure>
<details><summary>The same in numbers</summary><table><thead><tr><th>Points</th><th class=n>Students</th></tr></thead>
<tbody>{rows}</tbody></table></details>"""


def _ticks(highest: int) -> list[int]:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if highest / s <= 5)
    return list(range(0, highest + 1, step))


# ------------------------------------------------------------------ exercises

KINDS = (
    ("full", "all points"),
    ("some", "a part of the points"),
    ("none", "wrong"),
    ("unwritten", "not written"),
    ("notrun", "not run"),
    ("waiting", "to grade by hand"),
)


def _exercises(report: Report) -> str:
    rows = "".join(_exercise(facts, len(report.handed_in)) for facts in report.items)
    key = "".join(f'<li><i class="{kind}" aria-hidden="true"></i>{told}</li>' for kind, told in KINDS)
    return f"""<h2>Exercises</h2>
<ul class=key>{key}</ul>
<div class=scroll><table class=stack><thead><tr><th scope=col>Exercise</th><th scope=col>Students</th>
<th scope=col class=n>Mean</th><th scope=col class=n>Right</th><th scope=col class=n>Discrimination</th>
<th scope=col>Most frequent failing property</th></tr></thead><tbody>
{rows}</tbody></table></div>
<p class="soft">Discrimination is the correlation of an exercise's points with the points of everything else (the
corrected item-total correlation). Above 0.3, the exercise tells strong students from weak ones; near 0 or below, look
whether its statement or its check misleads. A dash: all have the same, or too few handed in.</p>"""


def _exercise(facts: ItemFacts, students: int) -> str:
    counts = {
        "full": facts.full,
        "some": facts.some,
        "none": facts.none,
        "unwritten": facts.unwritten,
        "notrun": facts.not_run,
        "waiting": facts.waiting,
    }
    told = ", ".join(f"{counts[kind]} {words}" for kind, words in KINDS if counts[kind])
    bar = "".join(
        f'<i class="{kind}" style="width:{100 * counts[kind] / students:.2f}%"></i>'
        for kind, _ in KINDS
        if counts[kind]
    )
    mean = "–" if facts.mean is None else f"{facts.mean:.2f} of {facts.item.points:g}"
    right = "–" if not facts.marked else f"{100 * facts.full / facts.marked:.0f} %"
    value = facts.discrimination
    sorts = "–" if value is None else f"{value:.2f}".replace("-", "−")
    if value is not None and value < 0.1:
        sorts = f'<span class=flag title="does not tell strong from weak">{sorts} !</span>'
    failing = ""
    if facts.times:
        failing = f"{escape(_short(facts.property_failed, 200))} <span class=soft>({facts.times} ×)</span>"
        if facts.example:
            failing += f"<details><summary>an example</summary><pre>{escape(_short(facts.example))}</pre></details>"
    return f"""<tr><th scope=row>{escape(facts.item.name)}<br><span class=soft>{escape(facts.item.notebook)}</span></th>
<td><div class=bar role=img aria-label="{escape(told, quote=True)}" title="{escape(told, quote=True)}">{bar}</div></td>
<td class=n data-label="Mean">{mean}</td><td class=n data-label="Right">{right}</td>
<td class=n data-label="Discrimination">{sorts}</td><td class=wide>{failing}</td></tr>
"""


# ------------------------------------------------------------------ people


def _looks(report: Report) -> str:
    if not report.looks:
        return (
            "<h2>Who needs a look</h2>\n<p>Nobody: every submission ran to its end, and nothing had to be mended.</p>"
        )
    rows = "".join(
        f"<tr><th scope=row>{_who(look.row.student, look.row.name)}</th>"
        f"<td>{'<span class=flag>' if look.urgent else ''}{escape(look.what)}{'</span>' if look.urgent else ''}</td>"
        f"<td class=wide>{escape(_short(look.why))}</td></tr>\n"
        for look in report.looks
    )
    seen = sorted({look.what for look in report.looks} & set(OUTCOMES))
    key = "; ".join(f"<b>{escape(what)}</b>: {escape(OUTCOMES[what])}" for what in seen)
    return f"""<h2>Who needs a look</h2>
<div class=scroll><table class=stack><thead>
<tr><th scope=col>Student</th><th scope=col>What</th><th scope=col>Why</th></tr></thead><tbody>
{rows}</tbody></table></div>
{f'<p class="soft">{key}. A note says what was mended before grading.</p>' if key else ""}"""


def _waiting(report: Report) -> str:
    if not report.waiting:
        return "<h2>To grade by hand</h2>\n<p>Nothing waits to be graded by hand.</p>"
    by_item = [
        f"{escape(facts.item.name)} ({facts.waiting})" for facts in report.items if facts.waiting
    ]  # fmt: skip
    people = ", ".join(_who(row.student, row.name) for row in report.waiting)
    number = len(report.waiting)
    return f"""<h2>To grade by hand</h2>
<p>{", ".join(by_item)}: grade them in formgrader, then make the report, the feedback and the export again.</p>
<details><summary>{number} {_plural(number, "student")}</summary><p>{people}</p></details>"""


def _missing(report: Report) -> str:
    if not report.missing:
        return "<h2>Missing</h2>\n<p>Everybody in the gradebook handed something in.</p>"
    people = "".join(f"<li>{_who(row.student, row.name)}{_mail(row.email)}</li>" for row in report.missing)
    return f"<h2>Missing</h2>\n<p>In the roster, and nothing was handed in:</p>\n<ul>{people}</ul>"


def _late(report: Report) -> str:
    if not report.late and not report.late_policy:
        return ""
    people = "".join(f"<li>{_who(row.student, row.name)}: {escape(line)}</li>" for row, line in report.late)
    listed = f"<ul>{people}</ul>" if people else "<p>Nobody was late.</p>"
    policy = f"<p>{escape(report.late_policy)}</p>" if report.late_policy else ""
    return f"<h2>Late</h2>\n{policy}\n{listed}"


def _who(student: str, name: str) -> str:
    return escape(student) if name == student else f"{escape(name)} <span class=soft>({escape(student)})</span>"


def _mail(email: str) -> str:
    return f" <span class=soft>{escape(email)}</span>" if email else ""


# ------------------------------------------------------------------ similar code


def _similar(report: Report) -> str:
    named = {row.student: row.name for row in report.marks.rows}
    pairs = _pairs(report.pairs, named, "of the smaller one's own code, or of one answer, is in the other's")
    copies = _pairs(report.copies, named, "of the answer stands there")
    return f"""<h2>Similar code</h2>
<p>Code that two people share is a reason to read both, and no proof: they may have worked together where that is
allowed, or found the same page. {report.compared} submissions with code of their own were compared.</p>
<h3>Pairs of students</h3>
{pairs or "<p>No pair.</p>"}
<h3>Taken from the library or the solution</h3>
{copies or "<p>Nobody's answer.</p>"}
<details><summary>The method, and its thresholds</summary>
<p>Winnowing (Schleimer, Wilkerson and Aiken, 2003) over Python tokens: comments, docstrings, annotations and layout
are dropped, names that the code itself binds become one symbol, and so do literals; so renaming, commenting and moving
functions around change nothing. Every run of {GRAM} tokens is hashed, and the least of each {WINDOW} neighbouring
hashes is kept: a common passage of {GRAM + WINDOW - 1} tokens is always seen. What the released notebook and the
instructor's solutions hold does not count, and a hash that k students have counts 2/k.</p>
<p>A pair is listed if {100 * SHARE:.0f} % of the smaller one's own code is in the other's, and that is worth
{WORTH:g} hashes that nobody else has; or if {100 * SHARE_OF_ANSWER:.0f} % of one answer is, in
{WORTH_OF_ANSWER:g} hashes that at most {RARE} students have. An answer counts as the library's if
{100 * SHARE_OF_LIBRARY:.0f} % of it, and {WORTH_OF_LIBRARY} hashes, stand in one of its functions; work counts as the
solution's by the limits of a pair. Independently written right answers to these exercises share less than 15 % with
each other. Short answers, of one line or two, are never listed by themselves.</p></details>"""


def _pairs(pairs: tuple[Pair, ...], named: dict[str, str], told: str) -> str:
    listed = "".join(_pair(pair, named, told) for pair in pairs[:MOST_PAIRS])
    more = len(pairs) - MOST_PAIRS
    return listed + (f"<p>And {more} more, less alike.</p>" if more > 0 else "")


def _pair(pair: Pair, named: dict[str, str], told: str) -> str:
    first, second = (_who(one, named.get(one, one)) for one in (pair.first, pair.second))
    pieces = ", ".join(map(escape, pair.pieces[:8])) + (" ..." if len(pair.pieces) > 8 else "")
    sides = "".join(
        f"<div><b>{who}</b>, {escape(side.piece)}<pre>{escape(side.text)}</pre></div>"
        for who, side in ((first, pair.one), (second, pair.other))
    )
    return f"""<details><summary><b>{100 * pair.share:.0f} %</b> {first} and {second}
<span class=soft>{pair.tokens} tokens, in {pieces}</span></summary>
<p class="soft">{100 * pair.share:.0f} % {told}. The longest common passage:</p><div class=sides>{sides}</div></details>
"""


def _short(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else text[:most] + " ..."


def _plural(number: int, word: str) -> str:
    return word if number == 1 else f"{word}s"


def needs_attention(report: Report) -> Iterable[str]:
    """The report in a few lines, for the terminal."""
    yield f"{len(report.handed_in)} handed in, {len(report.missing)} missing"
    looks = len({look.row.student for look in report.looks})
    yield f"{looks} {'needs' if looks == 1 else 'need'} a look"
    waiting = sum(row.waiting for row in report.handed_in)
    yield f"{waiting} {_plural(waiting, 'answer')} to grade by hand"
    yield f"{len(report.pairs)} {_plural(len(report.pairs), 'pair')} with similar code"
    if report.copies:
        yield f"{len(report.copies)} {_plural(len(report.copies), 'answer')} from the library or the solution"

"""Self-checks: the directive ``selfcheck``, questions that the page itself answers.

Of four kinds. A choice has one right option; each option says why it is right, or what is mistaken in it:

    :::::{selfcheck} choice
    :name: elbo-gap-sign

    Which of the three terms can be negative?

    :::{right} The reconstruction
    It is the average logarithm of a probability.
    :::
    :::{wrong} The gap
    It is a divergence, and so never below zero.
    :::
    :::::

A number has an `:answer:` (``0.5``, ``-3``, ``5/3``, ``4e-5``), a `:tolerance:` around it, if it has one a `:unit:`,
and a ``{because}`` that shows the computation; ``{wrong} 0.25`` explains what somebody did who found that number. All
these numbers are computed anew by `tests/book/test_selfcheck.py`.

An order has a ``{piece}`` for each line, written in the right order and shown in another, and a ``{because}``. A piece
belongs after all those above it, or only after those that it names: ``:after: 1`` under the third piece says that the
second and the third may change places.

A table has `:columns:` and a ``{row}`` for each line, with its own `:choices:` (both divided by ``|``) and a ``{cell}``
for each column: its argument is the right choice, its body the explanation.

`:name:` is the question's anchor, ``check-<name>``, and the name under which the browser remembers that it was
answered. Without JavaScript and in print the page shows the question, and the answers in a fold;
`book/assets/js/selfcheck.js` does the rest. ``{selfcheck-overview}``
lists the pages that have questions, with how many are answered.
"""

from __future__ import annotations

import hashlib
import html
import re
from itertools import combinations
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

HINTS = {"choice": "choose one", "number": "find a number", "order": "put in order", "table": "fill the table"}
PARTS = {
    "choice": {"right", "wrong"},
    "number": {"wrong", "because"},
    "order": {"piece", "because"},
    "table": {"row"},
    "row": {"cell"},
}
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class check(nodes.General, nodes.Element):
    """Attributes `name`, `kind`, `data` (what the script must know). Children: a check_body and a check_answer."""


class check_body(nodes.General, nodes.Element):
    """The question, the check_text, and what the reader answers with."""


class check_text(nodes.General, nodes.Element):
    """The question itself."""


class check_option(nodes.TextElement):
    """One option of a choice; attributes `name`, `number` and `letter`."""


class check_pieces(nodes.General, nodes.Element):
    """The pieces of an order, as they are shown first."""


class check_piece(nodes.General, nodes.Element):
    """Attributes `number` (its place in the right order), `after` (numbers) and `letter`."""


class check_field(nodes.General, nodes.Element):
    """Where a number is typed; attributes `name` and `unit`."""


class check_table(nodes.General, nodes.Element):
    """The cells to fill; attributes `columns` and `rows`, a list of (title, choices, right choices)."""


class check_answer(nodes.General, nodes.Element):
    """The answer and its reasons, folded."""


class check_why(nodes.General, nodes.Element):
    """The reasons of one option, one number or one cell, which attribute `of` names."""


class check_overview(nodes.General, nodes.Element):
    """Where ``{selfcheck-overview}`` stood, until every page has been read."""


class part(nodes.Element):
    """What the directives inside a selfcheck leave for it: attribute `role`, and what they were given."""


# ------------------------------------------------------------------ directives


class Selfcheck(SphinxDirective):
    """``{selfcheck} kind`` around the question and its parts."""

    has_content = True
    required_arguments = 1
    option_spec: ClassVar = dict.fromkeys(
        ("name", "answer", "tolerance", "unit", "columns"), directives.unchanged_required
    )

    def run(self):
        kind, name = self.arguments[0], self.options.get("name", "")
        if kind not in HINTS:
            raise self.error(f"a selfcheck is one of {', '.join(HINTS)}, not {kind!r}")
        if not NAME.fullmatch(name):
            raise self.error(f"a selfcheck needs a :name: in lower-case letters, digits and hyphens, not {name!r}")
        known = names(self.env)
        if name in known:
            raise self.error(f"two selfchecks have the name {name!r}: the other is in {known[name]}")
        for option in self.options:
            wanted = {"answer": "number", "tolerance": "number", "unit": "number", "columns": "table"}.get(option, kind)
            if wanted != kind:
                raise self.error(f":{option}: belongs to a {wanted}, and {name!r} is a {kind}")

        content = parse_parts(self, kind)
        first = next((at for at, child in enumerate(content) if isinstance(child, part)), len(content))
        text, parts = content[:first], content[first:]
        if not text or not all(isinstance(child, part) for child in parts):
            raise self.error(
                f"the selfcheck {name!r} begins with its question, and after its first part has only parts"
            )

        node = check(name=name, kind=kind, data={})
        self.set_source_info(node)
        body, answer = check_body(), check_answer()
        body += check_text("", *text, name=name)
        getattr(self, f"_{kind}")(name, parts, node["data"], body, answer)
        node += [body, answer]
        selfchecks(self.env).setdefault(self.env.docname, []).append(name)
        return [node]

    def _choice(self, name, parts, data, body, answer):
        rights = [number for number, child in enumerate(parts) if child["role"] == "right"]
        if len(rights) != 1 or len(parts) < 2:
            raise self.error(f"the choice {name!r} needs one {{right}} and at least one {{wrong}}")
        data["right"] = rights[0]
        for number, child in enumerate(parts):
            letter = LETTERS[number]
            body += check_option("", "", *child["label"], name=name, number=number, letter=letter)
            key = f"{letter} is {child['role']}."
            answer += check_why("", *keyed(key, child), of=str(number))

    def _number(self, name, parts, data, body, answer):
        for article, option in (("an", "answer"), ("a", "tolerance")):
            if option not in self.options:
                raise self.error(f"the number {name!r} needs {article} :{option}:")
        right, tolerance = self._value(self.options["answer"]), self._value(self.options["tolerance"])
        if tolerance <= 0:
            raise self.error(f"the number {name!r} needs a :tolerance: above zero, not {self.options['tolerance']}")
        because = [child for child in parts if child["role"] == "because"]
        if len(because) != 1:
            raise self.error(f"the number {name!r} needs one {{because}}, which shows the computation")
        unit = self.options.get("unit", "")
        data.update(answer=right, tolerance=tolerance, unit=unit)
        body += check_field(name=name, unit=unit)
        key = f"{signed(self.options['answer'])} {unit}".strip() + "."
        answer += check_why("", *keyed(key, because[0]), of="because")
        for child in parts:
            if child["role"] == "wrong":
                literal = child["argument"]
                value = self._value(literal)
                if abs(value - right) <= tolerance:
                    raise self.error(f"the number {name!r} takes {literal} for wrong, and its tolerance for right")
                answer += check_why("", *keyed(f"If you found {signed(literal)}:", child), of=str(value))

    def _order(self, name, parts, data, body, answer):
        because = [child for child in parts if child["role"] == "because"]
        pieces = [child for child in parts if child["role"] == "piece"]
        if len(because) != 1 or len(pieces) < 3:
            raise self.error(f"the order {name!r} needs three or more {{piece}} and one {{because}}")
        after = {}
        for number, child in enumerate(pieces, start=1):
            named = child["after"].replace(",", " ").split() if child["after"] is not None else range(1, number)
            if not all(str(each).isdigit() and 1 <= int(each) < number for each in named):
                raise self.error(
                    f":after: of piece {number} names pieces above it by their numbers, not {child['after']}"
                )
            after[number] = {int(each) for each in named}
        shown = shuffled(name, after)
        if shown is None:
            raise self.error(f"any order of the pieces of {name!r} would be right")
        letter = dict(zip(shown, LETTERS, strict=False))
        place = check_pieces()
        for number in shown:
            piece = check_piece("", *pieces[number - 1], number=number, letter=letter[number])
            piece["after"] = sorted(after[number])
            place += piece
        body += place
        key = ", ".join(letter[number] for number in sorted(after)) + "."
        free = [f"{letter[one]} and {letter[other]} may change places." for one, other in unordered(after)]
        answer += check_why("", *keyed(" ".join([key, *free]), because[0]), of="because")

    def _table(self, name, parts, data, body, answer):
        columns = divided(self.options.get("columns", ""))
        if len(columns) < 2 or not parts:
            raise self.error(f"the table {name!r} needs two :columns: or more, divided by |, and a {{row}}")
        rows = []
        for row in parts:
            cells = [child for child in row if isinstance(child, part)]
            if len(cells) != len(columns) or len(cells) != len(row):
                raise self.error(f"the row {row['argument']!r} needs a {{cell}} for each of: {', '.join(columns)}")
            for cell in cells:
                if cell["argument"] not in row["choices"]:
                    wrong = cell["argument"]
                    raise self.error(f"{wrong!r} is none of the :choices: of the row {row['argument']!r}")
            answer += nodes.paragraph("", "", nodes.strong("", row["argument"]), classes=["gm-check-row"])
            for column, cell in enumerate(cells):
                key = f"{columns[column]}: {cell['argument']}."
                answer += check_why("", *keyed(key, cell), of=f"{len(rows)} {column}")
            rows.append((row["argument"], row["choices"], [cell["argument"] for cell in cells]))
        body += check_table(name=name, columns=columns, rows=rows)

    def _value(self, literal: str) -> float:
        found = re.fullmatch(r"([-+]?[\d.]+(?:e[-+]?\d+)?)(?:/([1-9]\d*))?", literal)
        try:
            return float(found[1]) / float(found[2] or 1)
        except (TypeError, ValueError):
            raise self.error(f"{literal!r} is no number: write 0.5, -3, 5/3 or 4e-5") from None


class Part(SphinxDirective):
    """``{because}`` and ``{piece}``."""

    has_content = True
    option_spec: ClassVar = {"after": directives.unchanged}

    def run(self):
        stack = self.env.temp_data.get("selfcheck", [])
        if not stack or self.name not in PARTS.get(stack[-1], set()):
            homes = " or ".join(kind for kind, parts in PARTS.items() if self.name in parts)
            raise self.error(f"a {{{self.name}}} stands inside a selfcheck of the kind {homes}")
        self.assert_has_content()
        node = part(role=self.name, argument=" ".join(self.arguments), after=self.options.get("after"), label=[])
        self.set_source_info(node)
        if self.arguments:
            children, messages = self.state.inline_text(self.arguments[0], self.lineno)
            node["label"] = [*children, *messages]
        if self.name == "row":
            node["choices"] = divided(self.options.get("choices", ""))
            if len(node["choices"]) < 2:
                raise self.error("a {row} needs two :choices: or more, divided by |")
        node += parse_parts(self, self.name)
        return [node]


class NamedPart(Part):
    """``{right}``, ``{wrong}``, ``{row}`` and ``{cell}``: their argument says which."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"choices": directives.unchanged_required}


class Overview(SphinxDirective):
    """``{selfcheck-overview}``: a line for each page with selfchecks."""

    def run(self):
        self.env.selfcheck_overview = self.env.docname
        return [check_overview()]


def parse_parts(directive: SphinxDirective, kind: str) -> list[nodes.Node]:
    """The content of a directive, in which the parts of this kind may stand."""
    stack = directive.env.temp_data.setdefault("selfcheck", [])
    stack.append(kind)
    body = nodes.Element()
    try:
        directive.state.nested_parse(directive.content, directive.content_offset, body)
    finally:
        stack.pop()
    return list(body)


def keyed(key: str, node: nodes.Element) -> list[nodes.Node]:
    """The children of a part, the first of them after a key in bold, which the script leaves out of its verdicts."""
    label = nodes.inline("", "", nodes.strong("", key), nodes.Text(" "), classes=["gm-check-key"])
    first = node[0]
    if isinstance(first, nodes.paragraph):
        first.insert(0, label)
        return list(node)
    return [nodes.paragraph("", "", label), *node]


def divided(text: str) -> list[str]:
    return [each.strip() for each in text.split("|") if each.strip()]


def signed(literal: str) -> str:
    return literal.replace("-", "−")


# ------------------------------------------------------------------ orders


def fits(order: list[int], after: dict[int, set[int]]) -> bool:
    """Whether each piece stands after those that it needs."""
    return all(after[number] <= set(order[:at]) for at, number in enumerate(order))


def shuffled(name: str, after: dict[int, set[int]]) -> list[int] | None:
    """A wrong order of the pieces, always the same for a name; None if every order is right."""
    order = sorted(after, key=lambda number: hashlib.sha256(f"{name} {number}".encode()).hexdigest())
    for turn in range(len(order)):
        turned = order[turn:] + order[:turn]
        for tried in (turned, turned[::-1]):
            if not fits(tried, after):
                return tried
    return None


def unordered(after: dict[int, set[int]]) -> list[tuple[int, int]]:
    """The pairs of pieces of which neither needs the other, directly or through a third."""
    needs: dict[int, set[int]] = {}
    for number in sorted(after):
        needs[number] = after[number].union(*(needs[each] for each in after[number]))
    return [(one, other) for one, other in combinations(sorted(after), 2) if one not in needs[other]]


# ------------------------------------------------------------------ which page has which


def selfchecks(env) -> dict[str, list[str]]:
    """The names of the selfchecks of each page."""
    if not hasattr(env, "selfchecks"):
        env.selfchecks = {}
    return env.selfchecks


def names(env) -> dict[str, str]:
    """The page of each selfcheck."""
    return {name: page for page, own in selfchecks(env).items() for name in own}


def _purge(app, env, docname):
    selfchecks(env).pop(docname, None)


def _pages_to_rewrite(app, env):
    """The page with the overview, if a selfcheck has come or gone, or a page that has some has a new title."""
    now = {page: (own, env.titles[page].astext()) for page, own in selfchecks(env).items()}
    changed = now != getattr(env, "selfchecks_shown", {})
    env.selfchecks_shown = now
    page = getattr(env, "selfcheck_overview", None)
    return [page] if changed and page in env.found_docs else []


def _resolve(app, doctree, docname):
    for place in list(doctree.findall(check_overview)):
        place["pages"] = [
            (app.builder.get_relative_uri(docname, page), app.env.titles[page].astext(), selfchecks(app.env)[page])
            for page in app.env.collect_relations()  # in reading order
            if page in selfchecks(app.env)
        ]


def _finish_page(app, pagename, templatename, context, doctree):
    """The script on the pages that need it, and at the end of a page with questions how many are answered."""
    if doctree is None:
        return
    own = selfchecks(app.env).get(pagename, [])
    if own or any(True for _ in doctree.findall(check_overview)):
        app.add_js_file("js/selfcheck.js", loading_method="defer")
    if own:
        overview = getattr(app.env, "selfcheck_overview", None)
        link = ""
        if overview is not None:
            target = app.builder.get_relative_uri(pagename, overview)
            link = f' <a href="{target}#check-overview">All chapters</a>'
        total = counted(len(own))
        context["body"] += f'<p class="gm-check-count pst-js-only"><span>{total} on this page.</span>{link}</p>\n'


def counted(number: int) -> str:
    return "1 question" if number == 1 else f"{number} questions"


# ------------------------------------------------------------------ HTML
# What is of no use without JavaScript has the theme's class pst-js-only.


def _visit_check(self, node):
    name, kind = node["name"], node["kind"]
    data = "".join(f' data-{key}="{html.escape(str(value))}"' for key, value in node["data"].items())
    self.body.append(
        f'<form class="gm-check" id="check-{name}" data-check="{name}" data-kind="{kind}"{data}'
        f' autocomplete="off" novalidate>\n<fieldset aria-describedby="check-{name}-text">'
        f'<legend><span class="gm-check-word">Check yourself:</span> {HINTS[kind]}'
        f'<span class="gm-check-done" hidden> ✓ answered right</span>'
        f'<a class="headerlink" href="#check-{name}" title="Link to this question">#</a></legend>\n'
    )


def _depart_check(self, node):
    self.body.append("</form>\n")


def _visit_nothing(self, node):
    pass


def _depart_body(self, node):
    self.body.append(
        '<div class="gm-check-bar pst-js-only"><button type="submit" class="gm-button">Check</button></div>\n'
        '<div class="gm-check-verdict" role="status"></div>\n</fieldset>\n'
    )


def _visit_text(self, node):
    self.body.append(f'<div class="gm-check-text" id="check-{node["name"]}-text">\n')


def _depart_div(self, node):
    self.body.append("</div>\n")


def _visit_option(self, node):
    self.body.append(
        f'<label class="gm-check-option"><input class="pst-js-only" type="radio" name="check-{node["name"]}"'
        f' value="{node["number"]}"/><span class="gm-check-letter">{node["letter"]}</span><span>'
    )


def _depart_option(self, node):
    self.body.append("</span></label>\n")


def _visit_field(self, node):
    unit = f" <span>{html.escape(node['unit'])}</span>" if node["unit"] else ""
    self.body.append(
        '<label class="gm-check-field pst-js-only"><span>Your number</span> '
        f'<input type="text" name="number" spellcheck="false" autocapitalize="off"/>{unit}</label>\n'
    )
    raise nodes.SkipNode


def _visit_pieces(self, node):
    self.body.append('<ol class="gm-check-pieces">\n')


def _depart_pieces(self, node):
    self.body.append("</ol>\n")


def _visit_piece(self, node):
    after = " ".join(map(str, node["after"]))
    self.body.append(
        f'<li class="gm-check-piece" data-piece="{node["number"]}" data-after="{after}" data-letter="{node["letter"]}">'
        f'<span class="gm-check-letter">{node["letter"]}</span><div class="gm-check-piece-body">\n'
    )


def _depart_piece(self, node):
    letter = node["letter"]
    buttons = "".join(
        f'<button type="button" class="gm-button" data-move="{by}" aria-label="Move {letter} {way}">{sign}</button>'
        for by, way, sign in ((-1, "up", "↑"), (1, "down", "↓"))
    )
    self.body.append(
        f'</div><span class="gm-check-moves pst-js-only">{buttons}'
        '<span class="gm-check-grip" aria-hidden="true">⠿</span></span></li>\n'
    )


def _visit_table(self, node):
    heads = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in node["columns"])
    self.body.append(f'<table class="gm-check-cells"><thead><tr><td></td>{heads}</tr></thead><tbody>\n')
    for number, (title, choices, rights) in enumerate(node["rows"]):
        self.body.append(f'<tr><th scope="row">{html.escape(title)}</th>')
        options = "".join(f"<option>{html.escape(choice)}</option>" for choice in choices)
        for at, (column, right) in enumerate(zip(node["columns"], rights, strict=True)):
            label = html.escape(f"{title}: {column}")
            self.body.append(
                f'<td data-cell="{number} {at}" data-right="{html.escape(right)}">'
                f'<span class="gm-check-column" aria-hidden="true">{html.escape(column)}</span>'
                f'<select class="pst-js-only" aria-label="{label}">'
                f'<option value="">choose</option>{options}</select></td>'
            )
        self.body.append("</tr>\n")
    self.body.append("</tbody></table>\n")
    raise nodes.SkipNode


def _visit_answer(self, node):
    self.body.append('<details class="gm-fold gm-check-answer"><summary>Answer</summary>\n')


def _depart_answer(self, node):
    self.body.append("</details>\n")


def _visit_why(self, node):
    self.body.append(f'<div class="gm-check-why" data-of="{node["of"]}">\n')


def _visit_overview(self, node):
    self.body.append('<div class="gm-check-overview" id="check-overview">\n<ul>\n')
    for target, title, own in node["pages"]:
        self.body.append(
            f'<li data-checks="{" ".join(own)}"><a href="{target}">{html.escape(title)}</a> '
            f'<span class="gm-check-share">{counted(len(own))}</span></li>\n'
        )
    self.body.append(
        '</ul>\n<div class="gm-check-bar pst-js-only">'
        '<button type="button" class="gm-button" data-clear>Clear my answers</button></div>\n'
        '<p class="gm-check-kept" role="status"></p>\n</div>\n'
    )
    raise nodes.SkipNode


# ------------------------------------------------------------------ other writers


def _option_as_text(self, node):
    """A paragraph of its own, with the letter by which the answer calls it."""
    self.visit_paragraph(nodes.paragraph())
    self.visit_Text(nodes.Text(f"{node['letter']}. "))


def _depart_option_as_text(self, node):
    self.depart_paragraph(nodes.paragraph())


def _skip(self, node):
    raise nodes.SkipNode


def setup(app):
    def add(node, visit, depart, other=(_visit_nothing, _visit_nothing)):
        app.add_node(node, html=(visit, depart), latex=other, text=other)

    add(check, _visit_check, _depart_check)
    add(check_body, _visit_nothing, _depart_body)
    add(check_text, _visit_text, _depart_div)
    add(check_option, _visit_option, _depart_option, (_option_as_text, _depart_option_as_text))
    add(check_pieces, _visit_pieces, _depart_pieces)
    add(check_piece, _visit_piece, _depart_piece)
    add(check_field, _visit_field, None, (_skip, None))
    add(check_table, _visit_table, None, (_skip, None))
    add(check_answer, _visit_answer, _depart_answer)
    add(check_why, _visit_why, _depart_div)
    add(check_overview, _visit_overview, None, (_skip, None))
    app.add_directive("selfcheck", Selfcheck)
    app.add_directive("selfcheck-overview", Overview)
    for name in ("because", "piece"):
        app.add_directive(name, Part)
    for name in ("right", "wrong", "row", "cell"):
        app.add_directive(name, NamedPart)
    app.connect("env-purge-doc", _purge)
    app.connect("env-updated", _pages_to_rewrite)
    app.connect("doctree-resolved", _resolve)
    app.connect("html-page-context", _finish_page)
    app.add_css_file("css/selfcheck.css")
    return {"version": "1", "env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}

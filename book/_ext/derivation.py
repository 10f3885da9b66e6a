"""Derivations: the directives ``derivation`` and ``move``.

A derivation is an ordered list of moves. Each move has a number that links to itself, a reason (the
directive's argument, beside the formula), and a body: the formula, and a sentence on why the move is
allowed. Everything is visible without JavaScript and in print; `book/assets/js/derivation.js` adds the buttons that
reveal one move after another. ("step" would have been the word, but sphinx-design has taken it.)

    :::::{derivation} The evidence lower bound
    :name: derivation-elbo

    ::::{move} Bayes' rule
    :name: elbo-bayes

    $$ ... $$
    ::::
    :::::

`:name:` makes the anchor, for `{ref}` and `[](#name)`; a move without one is called after its derivation and
its number, as in ``derivation-elbo-2``.
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class derivation(nodes.General, nodes.Element):
    """Children: a derivation_title, what stands before the moves, one move_list, what stands after them."""


class derivation_title(nodes.TextElement):
    """The derivation's title."""


class move_list(nodes.General, nodes.Element):
    """Children: the moves."""


class move(nodes.General, nodes.Element):
    """Attribute `number`. Children: a move_reason, then the body."""


class move_reason(nodes.TextElement):
    """Why the move may be made, in a few words."""


class Derivation(SphinxDirective):
    """``{derivation} Title`` around a number of ``{move}``."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"name": directives.unchanged_required}

    def run(self):
        node = derivation()
        self.set_source_info(node)
        title = derivation_title("", "", *self._inline(self.arguments[0]))
        node += title
        name = self.options.get("name") or f"derivation-{self.env.new_serialno('derivation') + 1}"
        _name(self, node, name, title.astext())
        self.env.temp_data.setdefault("derivations", []).append([name, 0])
        body = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, body)
        self.env.temp_data["derivations"].pop()
        at = [index for index, child in enumerate(body) if isinstance(child, move)]
        if not at:
            raise self.error("a derivation needs at least one {move}")
        first, last = at[0], at[-1] + 1
        if len(at) != last - first:
            raise self.error("between two moves of a derivation only moves may stand: put the text into one of them")
        node += body[:first]
        node += move_list("", *body[first:last])
        node += body[last:]
        return [node]

    def _inline(self, text):
        children, messages = self.state.inline_text(text, self.lineno)
        return [*children, *messages]


class Move(SphinxDirective):
    """``{move} Reason``, inside a ``{derivation}``."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"name": directives.unchanged_required}

    def run(self):
        stack = self.env.temp_data.get("derivations")
        if not stack:
            raise self.error("a {move} stands inside a {derivation}")
        self.assert_has_content()
        stack[-1][1] += 1
        parent, number = stack[-1]
        node = move(number=number)
        self.set_source_info(node)
        children, messages = self.state.inline_text(self.arguments[0], self.lineno)
        reason = move_reason("", "", *children, *messages)
        node += reason
        _name(self, node, self.options.get("name") or f"{parent}-{number}", f"step {number}, {reason.astext()}")
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


def _name(directive: SphinxDirective, node: nodes.Element, name: str, title: str) -> None:
    """Give the node an anchor, and let ``{ref}`` and ``[](#name)`` find it with `title` as the link's text."""
    name = nodes.fully_normalize_name(name)
    anchor = nodes.make_id(name)
    std = directive.env.get_domain("std")
    if name in std.labels or anchor in directive.state.document.ids:
        raise directive.error(f"the name {name!r} is already taken: give this one another :name:")
    node["ids"].append(anchor)
    directive.state.document.note_explicit_target(node)  # registers the id
    std.note_hyperlink_target(name, directive.env.docname, anchor, title)


# ------------------------------------------------------------------ HTML


def _visit_derivation(self, node):
    anchor = node["ids"][0]
    self.body.append(f'<section class="gm-derivation" id="{anchor}" aria-labelledby="{anchor}-title">\n')


def _depart_derivation(self, node):
    self.body.append("</section>\n")


def _visit_list(self, node):
    self.body.append('<ol class="gm-moves">\n')


def _depart_list(self, node):
    self.body.append("</ol>\n")


def _visit_title(self, node):
    # The section's name, by which its place in the page is told from those of other derivations.
    name = f'<span id="{node.parent["ids"][0]}-title">'
    self.body.append(f'<p class="gm-derivation-title">{name}<span class="gm-derivation-word">Derivation.</span> ')


def _depart_title(self, node):
    anchor = node.parent["ids"][0]
    self.body.append(f'</span><a class="headerlink" href="#{anchor}" title="Link to this derivation">#</a></p>\n')


def _visit_move(self, node):
    anchor, number = node["ids"][0], node["number"]
    self.body.append(
        f'<li class="gm-move" id="{anchor}">'
        f'<a class="gm-move-number" href="#{anchor}" aria-label="Link to step {number}">{number}</a>\n'
    )


def _depart_move(self, node):
    self.body.append("</div></li>\n")


def _visit_reason(self, node):
    self.body.append('<p class="gm-move-reason">')


def _depart_reason(self, node):
    self.body.append('</p>\n<div class="gm-move-body">')


# ------------------------------------------------------------------ other writers


def _pass(self, node):
    """The children are shown as they are."""


def _latex_visit_title(self, node):
    self.body.append("\n\\par\\noindent\\textbf{Derivation. ")


def _latex_visit_reason(self, node):
    self.body.append(f"\n\\par\\noindent\\textbf{{{node.parent['number']}. ")


def _latex_close(self, node):
    self.body.append(".}\\par\n")


def setup(app):
    app.add_node(derivation, html=(_visit_derivation, _depart_derivation), latex=(_pass, _pass), text=(_pass, _pass))
    app.add_node(move_list, html=(_visit_list, _depart_list), latex=(_pass, _pass), text=(_pass, _pass))
    app.add_node(move, html=(_visit_move, _depart_move), latex=(_pass, _pass), text=(_pass, _pass))
    app.add_node(
        derivation_title,
        html=(_visit_title, _depart_title),
        latex=(_latex_visit_title, _latex_close),
        text=(_pass, _pass),
    )
    app.add_node(
        move_reason,
        html=(_visit_reason, _depart_reason),
        latex=(_latex_visit_reason, _latex_close),
        text=(_pass, _pass),
    )
    app.add_directive("derivation", Derivation)
    app.add_directive("move", Move)
    app.add_js_file("js/derivation.js")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

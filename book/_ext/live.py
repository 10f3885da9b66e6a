"""Live figures: the directive ``live``, for figures that the reader moves and that need no kernel.

    ```{live} elbo-gap
    :name: fig-elbo-gap
    :still: ../assets/stills/elbo-gap.svg
    :alt: what the still shows
    Caption text.
    ```

The page holds the still, an SVG put into the page as it is (so that its CSS variables follow the theme), and
its description: this is what print and a browser without JavaScript show. `book/assets/js/live/<figure>.js`, a
classic script (modules do not load from file://), replaces it with the figure. It is loaded only on the pages
that hold the figure, after `common.js`, which all figures share, `<part>.js`, which those named `<part>-...` share, and
`<figure>-weights.js`, if there are such. What is too large for that, `<figure>-data.js`, the figure itself loads when
the reader comes near (`lazyFigure` of `common.js`). What the caption says of moving the figure, as in
``[Drag the point.]{.gm-screen}``, is left out of print.
`{numref}` counts the figure among the page's other figures.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

NAME = re.compile(r"[a-z][a-z0-9-]*")


class live_stage(nodes.General, nodes.Element):
    """Attributes `figure` (its name), `still` (the SVG's text), `alt`."""


class Live(SphinxDirective):
    """``{live} figure``, with options `name`, `still` and `alt`, and the caption as its body."""

    has_content = True
    required_arguments = 1
    option_spec: ClassVar = {
        "name": directives.unchanged_required,
        "still": directives.unchanged_required,
        "alt": directives.unchanged_required,
    }

    def run(self):
        figure = self.arguments[0]
        if not NAME.fullmatch(figure):
            raise self.error(f"a live figure is named in lower-case letters, digits and hyphens, not {figure!r}")
        for option in ("still", "alt"):
            if not self.options.get(option):
                raise self.error(f"the live figure {figure!r} needs :{option}: (shown without JavaScript and in print)")
        self.assert_has_content()
        script = _folder(self.env) / f"{figure}.js"
        if not script.is_file():
            raise self.error(f"the live figure {figure!r} has no script: {script} does not exist")
        _, still = self.env.relfn2path(self.options["still"])
        self.env.note_dependency(still)
        try:
            svg = Path(still).read_text(encoding="utf-8")
        except OSError as error:
            raise self.error(f"the live figure {figure!r}: its still cannot be read: {error}") from error

        stage = live_stage(figure=figure, still=svg[svg.index("<svg") :], alt=self.options["alt"])
        node = nodes.figure("", stage, classes=["gm-live"])
        self.set_source_info(node)
        body = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, body)
        first = body[0]
        caption = nodes.caption(first.rawsource, "", *first.children)
        caption.source, caption.line = first.source, first.line
        node += caption
        if len(body) > 1:
            node += nodes.legend("", *body[1:])
        self.add_name(node)
        return [node]


def _folder(env) -> Path:
    return Path(env.srcdir) / env.config.html_static_path[0] / "js" / "live"


def _visit_html(self, node):
    alt = html.escape(node["alt"], quote=True)
    self.body.append(
        f'<div class="gm-live-stage" data-live="{node["figure"]}">'
        f'<div class="gm-still" role="img" aria-label="{alt}">{node["still"]}</div></div>\n'
    )


def _visit_other(self, node):
    """Writers without SVG say in words what the still shows."""
    self.visit_paragraph(nodes.paragraph())
    self.visit_Text(nodes.Text(node["alt"]))
    self.depart_Text(nodes.Text(""))
    self.depart_paragraph(nodes.paragraph())


def _depart(self, node):
    pass


def _scripts(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    figures = dict.fromkeys(stage["figure"] for stage in doctree.findall(live_stage))
    shared = [figure.split("-")[0] for figure in figures if "-" in figure]
    names = ["common", *shared, *(name for figure in figures for name in (f"{figure}-weights", figure))]
    for name in dict.fromkeys(names) if figures else []:
        if (_folder(app.env) / f"{name}.js").is_file():
            app.add_js_file(f"js/live/{name}.js", loading_method="defer")


def setup(app):
    app.add_node(
        live_stage,
        html=(_visit_html, _depart),
        latex=(_visit_other, _depart),
        text=(_visit_other, _depart),
    )
    app.add_directive("live", Live)
    app.connect("html-page-context", _scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

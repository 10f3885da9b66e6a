"""Numbers that code cells glue into the text are set like the text's own: with a minus sign, not a hyphen."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class MinusSigns(SphinxPostTransform):
    """`-18.1` from a `{glue:text}` becomes `−18.1`, which neither breaks a line nor reads as a dash."""

    default_priority = 900  # after the numbers of other pages have come in

    def run(self, **kwargs):
        for node in self.document.findall(nodes.inline):
            if "pasted-text" in node["classes"]:
                node[:] = [nodes.Text(re.sub(r"^-(?=\.?\d)", "−", node.astext()))]


def setup(app):
    app.add_post_transform(MinusSigns)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

r"""What the symbols in the formulas mean: the tables of `book/reference/notation.md`, and their marks in the pages.

The notation page is the only place that says what a symbol is. Its sections are called after the parts of `_toc.yml`;
a section's rows hold in its part, those of "Everywhere" where the part has no row of its own, and a row whose meaning
links to pages of the book holds on these alone. On all other pages only what has one meaning in the whole
book is marked: no mark is better than a wrong one. In the first column $x_t$ stands for any index, and
$p(\cdot)$ for any arguments; a class, as in [$x$]{.gm-data}, gives the symbol its colour throughout the book.

`tools/mathjax/typeset.js` leaves at each element of a formula the names under which it may stand in the table. `mark`
puts the row's id and the colour in their place, and `cards` takes from the written pages what `hover.js` shows: the
rows, and the labelled equations. The Sphinx extension has all pages written anew when the table has changed.
"""

from __future__ import annotations

import hashlib
import html
import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

PAGE = "book/reference/notation"
EVERYWHERE = "Everywhere"
KINDS = ("data", "noise", "latent", "model", "prior")
FORMULA_CELL = re.compile(r"\[\$([^$]+)\$\]\{\.gm-(\w+)\}|\$([^$]+)\$")
INDEX_LETTERS = "tkil"
EQUATION = re.compile(
    r'<div class="math notranslate nohighlight" id="equation-([\w-]+)">\s*<span class="eqno">(\([^)]*\)).*?</span>'
    r"(<mjx-container.*?</mjx-container>)\s*</div>",
    re.DOTALL,
)


class NotationError(ValueError):
    """A table that cannot be read; the message says where, and why."""


@dataclass(frozen=True)
class Row:
    """One row: its section, the TeX and the colour of each symbol, the pages it is limited to (none: the section's)."""

    section: str
    line: int
    symbols: tuple[tuple[str, str], ...]
    pages: tuple[str, ...]

    @property
    def id(self) -> str:
        """The same as long as the row is about the same: a page and a table that a browser kept from before agree."""
        return hashlib.sha256(repr((self.section, [tex for tex, _ in self.symbols])).encode()).hexdigest()[:5]


def rows(root: Path) -> list[Row]:
    """The rows of all tables of the notation page."""
    path = root / f"{PAGE}.md"
    found, section, cells_seen = [], "", False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("## "):
            section, cells_seen = line[3:].strip(), False
        elif line.startswith("|"):
            if not cells_seen or set(line) <= set("|- :"):
                cells_seen = True
                continue
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            symbols = [(tex or plain, kind) for tex, kind, plain in FORMULA_CELL.findall(cells[0])]
            where = f"{path.relative_to(root)}:{number}"
            if len(cells) != 4 or not symbols:
                raise NotationError(f"{where}: a row has four cells, and formulas in the first")
            if unknown := {kind for _, kind in symbols if kind and kind not in KINDS}:
                raise NotationError(f"{where}: the colours are {', '.join(KINDS)}, not {', '.join(unknown)}")
            targets = re.findall(r"\]\(([^)#]+)\.(?:md|ipynb)\)", cells[3])
            pages = tuple(posixpath.normpath(posixpath.join(posixpath.dirname(PAGE), target)) for target in targets)
            found.append(Row(section, number, tuple(symbols), pages))
    if len({row.id for row in found}) < len(found):
        raise NotationError(f"{PAGE}.md: two rows of one section have the same symbols")
    return found


def parts(root: Path, table: Sequence[Row]) -> dict[str, str]:
    """The section of the table that holds on each page, for pages of the parts that have one: by the part's caption,
    and for notebooks by their folder, which is called as the part's is."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    listed = {
        entry["file"]: part.get("caption", "") for part in toc.get("parts", []) for entry in part.get("chapters", [])
    }
    sections = {row.section for row in table}
    found = {page: caption for page, caption in listed.items() if caption in sections}
    folders = {re.sub(r"^\d+-", "", page.split("/")[-2]): caption for page, caption in found.items()}
    return found | {
        page: folders[page.split("/")[1]]
        for page in listed
        if page.startswith("notebooks/") and page.split("/")[1] in folders
    }


@dataclass
class Notation:
    """The rows, found by the names that typeset.js gives to what may be a symbol."""

    parts: dict[str, str]
    entries: dict[str, list[tuple[Row, str]]] = field(default_factory=dict)  # name -> rows that explain it, colours

    @classmethod
    def of(cls, table: Sequence[Row], parts: dict[str, str], names: Mapping[str, Sequence[str]]) -> Notation:
        """The table with, for the TeX of each of its symbols, the names of it, the narrowest first."""
        notation = cls(parts)
        for row in table:
            for tex, kind in row.symbols:
                if not names[tex]:
                    raise NotationError(f"{PAGE}.md:{row.line}: ${tex}$ is no symbol")
                name = names[tex][0]
                notation._add(name, row, kind)
                if re.search(rf"_[{INDEX_LETTERS}]$", name):
                    notation._add(name[:-1] + "#", row, kind)
        return notation

    def _add(self, name: str, row: Row, kind: str) -> None:
        entries = self.entries.setdefault(name, [])
        for other, _ in entries:
            apart = other.pages and row.pages and set(other.pages).isdisjoint(row.pages)
            if other.section == row.section and not apart:
                raise NotationError(f"{PAGE}.md:{row.line}: {name} has a meaning in line {other.line} as well")
        entries.append((row, kind))

    def find(self, names: Iterable[str], page: str) -> tuple[Row, str] | None:
        """The row that explains, on a page, what has these names, and the symbol's colour."""
        for name in names:
            known = self.entries.get(name, [])
            if page not in self.parts:
                if known := [each for each in known if not each[0].pages]:
                    # A lone letter of one part may stand for anything elsewhere: K codes, a K-Lipschitz function.
                    clear = len(known) == 1 and (known[0][0].section == EVERYWHERE or name[1:])
                    return known[0] if clear else None
                continue
            for section in (self.parts[page], EVERYWHERE):
                for row, kind in known:
                    if row.section == section and (not row.pages or page in row.pages):
                        return row, kind
        return None

    def mark(self, text: str, page: str) -> str:
        """The text of a page with each symbol that the table explains marked: the outermost that it knows."""
        depth, done = 0, 0  # elements open; the depth of the symbol that we are in, or 0

        def tag(found: re.Match[str]) -> str:
            nonlocal depth, done
            if found[1]:
                depth -= 1
                if depth < done:
                    done = 0
                return found[0]
            depth += 1
            if not (names := re.search(r' data-names="([^"]*)"', found[0])):
                return found[0]
            plain = found[0].replace(names[0], "")
            explained = None if done else self.find(html.unescape(names[1]).split("|"), page)
            if explained is None:
                return plain
            row, kind = explained
            done = depth
            if kind and ' class="' in plain:
                plain = plain.replace(' class="', f' class="gm-{kind} ', 1)
            elif kind:
                plain = f'{plain[:-1]} class="gm-{kind}">'
            return f'{plain[:-1]} data-s="{row.id}">'

        return re.sub(r"<(/?)mjx-[\w-]+[^>]*>", tag, text)


def read(root: Path, names: Mapping[str, Sequence[str]]) -> Notation:
    table = rows(root)
    return Notation.of(table, parts(root, table), names)


# ------------------------------------------------------------------ what the pages show


def cards(table: Sequence[Row], notation_page: str, pages: Iterable[str]) -> dict[str, str]:
    """Two scripts by their names, for hover.js to load when they are needed: the rows by id, as set on the notation
    page, and the labelled equations of all pages, by label."""
    written = re.findall(r'<tr class="row-(?:even|odd)"><td>(.*?)</td>\s*</tr>', notation_page, re.DOTALL)
    if len(written) != len(table):
        raise NotationError(f"{PAGE}: {len(table)} rows in the source, {len(written)} in the page")
    symbols = {}
    for row, cells in zip(table, written, strict=True):
        texts = [re.sub(r"^<p>|</p>$", "", cell.strip()) for cell in re.split(r"</td>\s*<td>", cells)]
        symbols[row.id] = [_bare(text) for text in texts]
    equations = {}
    for page in pages:
        title = re.search(r'<h1>(?:<span class="section-number">.*?</span>)?([^\n]*?)<a class="headerlink"', page)
        for label, number, formula in EQUATION.findall(page):
            equations[label] = [number, re.sub(r"<[^>]*>", "", title[1]) if title else "", _bare(formula)]
    return {"symbols": _script("symbols", symbols), "equations": _script("equations", equations)}


def _bare(text: str) -> str:
    """Without links and marks: a card holds nothing to press, and explains no symbol in turn."""
    return re.sub(r"</?a\b[^>]*>| data-s=\"\w+\"", "", text)


def _script(name: str, content: dict) -> str:
    # A script, since a page opened from a disk can't fetch data.
    given = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"(window.gmCards ??= {{}}).{name} = {given};\n"


# ------------------------------------------------------------------ the Sphinx extension


def _pages_to_rewrite(app, env):
    """Every page with a formula when the table, or the way in which it is read, is not that of the last build."""
    from sphinx.util import logging

    try:
        table = rows(Path(app.srcdir))
        state = repr((table, parts(Path(app.srcdir), table), Path(__file__).read_bytes()))
    except (NotationError, OSError) as error:
        logging.getLogger(__name__).warning("symbols: %s", error, type="symbols")
        return []
    now = hashlib.sha256(state.encode()).hexdigest()
    before, env.notation = getattr(env, "notation", None), now
    with_formulas = env.get_domain("math").data["has_equations"]
    return sorted(page for page in env.found_docs if with_formulas.get(page)) if before != now else []


def setup(app):
    app.connect("env-updated", _pages_to_rewrite)
    app.add_js_file("js/hover.js")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

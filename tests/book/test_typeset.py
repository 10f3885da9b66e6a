"""Formulas that are set in type while the book is built."""

import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from tools import typeset

CLASS = "math notranslate nohighlight"
PAGE = (
    f'<p>Let <span class="{CLASS}">\\(x_0 &lt; 1\\)</span>.</p>\n'
    f'<div class="{CLASS}" id="equation-a">\n<span class="eqno">(1)<a href="#equation-a">#</a></span>'
    "\\[\\begin{aligned} a &amp; b \\\\[2pt] c \\end{aligned}\\]</div>"
    '<script>window.MathJax = {"options": {}}</script>\n'
    '<script defer src="../_static/mathjax.js?v=1"></script>'
)


def test_formulas_are_found_as_they_were_written():
    assert [typeset.tex_of(found) for found in typeset.FORMULA.finditer(PAGE)] == [
        ("x_0 < 1", False),
        ("\\begin{aligned} a & b \\\\[2pt] c \\end{aligned}", True),
    ]


def test_a_page_is_set_for_those_who_see_and_for_those_who_listen_and_needs_no_script():
    pages, css = typeset.typeset({Path("page"): PAGE}, "../fonts")
    page = pages[Path("page")]
    assert page.count("--gm-ems: ") == 1  # of the displayed one, for where there is less room
    assert page.count("<mjx-container") == page.count("<math ") == page.count('aria-hidden="true"') == 2
    assert "<mi>x</mi><mn>0</mn></msub><mo>&lt;</mo><mn>1</mn></math>" in page
    assert '<span class="eqno">(1)' in page
    assert "<script" not in page
    assert "mjx-c.mjx-c1D465.TEX-I::before" in css
    assert "../fonts/MathJax_Main-Regular.woff" in css
    assert re.search(r'Let <span class="gm-keep"><span class="math (?:(?!</span>).)*</span>\.</span></p>', page)
    again, _ = typeset.typeset(pages, "../fonts")
    assert again == pages


@pytest.mark.parametrize("tex", [r"\frac{1", r"\nosuch x", r"\begin{aligned} x"])
def test_tex_that_cannot_be_read_stops_the_build_and_is_quoted(tex):
    with pytest.raises(ValueError, match=r"^TeX: ") as raised:
        typeset.run_mathjax([("x", False), (tex, False)], "fonts")
    assert tex in str(raised.value)


def test_fonts_keep_the_letters_that_the_style_sheet_shows(tmp_path):
    shown = typeset.letters('a::before{content:"\\1D465"}b::before{content:"x\\""}p{color:red}')
    assert shown == {0x1D465, ord("x"), ord('"')}
    for _ in range(2):  # the second time from what was kept
        typeset.cut_fonts(tmp_path / "cut", {ord("x"), ord("+")}, tmp_path / "kept")
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {path.name for path in typeset.FONTS.glob("*.woff")}
    left = TTFont(tmp_path / "cut" / "MathJax_Main-Regular.woff").getBestCmap()
    assert set(left) == {ord("x"), ord("+")}
    assert (tmp_path / "cut" / "MathJax_Zero.woff").read_bytes() == (typeset.FONTS / "MathJax_Zero.woff").read_bytes()

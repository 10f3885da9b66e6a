"""What happens to a page after Sphinx has written it."""

import re

import pytest

from tools import mend_pages

SCRIPT = (
    'a={file:[384,512,[],"f15b","M0 1z"],"file-pdf":[512,512,[],"f1c1","M9 9z"]};'
    'b={file:[384,512,[128196,"document"],"f15b","M0 64z"]}'
)


def mended_once_and_for_all(page: str) -> str:
    drawings = mend_pages.icons(SCRIPT)
    after = mend_pages.mend(page, drawings, "page.html")
    assert mend_pages.mend(after, drawings, "page.html") == after
    return after


def test_entries_of_the_bibliography_are_list_items():
    after = mended_once_and_for_all('<div role="list">\n<div class="citation" id="id2" role="doc-biblioentry">')
    assert 'class="citation" id="id2" role="listitem"' in after


def test_a_list_within_a_list_is_a_part_of_an_item():
    page = "<ul><li>a</li>\n<li>b</li>\n<ul><li>b.c</li>\n<li>b.d</li>\n</ul><li>e</li>\n</ul>"
    after = mended_once_and_for_all(page)
    assert after == "<ul><li>a</li>\n<li>b\n<ul><li>b.c</li>\n<li>b.d</li>\n</ul></li><li>e</li>\n</ul>"


def test_an_icon_is_the_solid_drawing_with_the_classes_and_data_of_its_element():
    after = mended_once_and_for_all('<i class="theme-switch fa-solid fa-file fa-lg" data-mode="dark" title="Dark"></i>')
    assert after == (
        '<svg class="svg-inline--fa theme-switch fa-file fa-lg" data-mode="dark" aria-hidden="true" '
        'viewBox="0 0 384 512"><path fill="currentColor" d="M0 64z"/></svg>'
    )


def test_an_icon_that_the_theme_does_not_have_stops_the_build():
    with pytest.raises(KeyError, match="nowhere"):
        mended_once_and_for_all('<span class="fas fa-nowhere"></span>')


def test_a_fold_of_the_contents_says_what_is_in_it():
    page = (
        '<a class="reference internal" href="x.html">The functions</a><details><summary><span class="toctree-toggle">'
    )
    assert '<summary aria-label="Pages under The functions">' in mended_once_and_for_all(page)


def test_points_of_a_figure_inherit_the_style_that_they_share():
    use = '<use xlink:href="#m" x="1.23456" y="20.5" style="fill: {}"/>\n     '
    page = f'<div class="gm-plot"><svg role="img">{{}}</svg></div>{2 * use.format("red")}'
    after = mended_once_and_for_all(page.format(2 * use.format("red")))
    short = '<use xlink:href="#m" x="1.2" y="20.5"/>'
    assert after == page.format(f'<g style="fill: red">{2 * short}</g>\n')
    for kept in (use.format("red"), use.format("red") + use.format("blue")):  # a mark of an axis; unlike points
        assert mended_once_and_for_all(page.format(kept)) == page.format(kept)


def test_many_round_points_of_one_colour_become_paths_of_dots_as_wide_as_they_were():
    disc = '<path id="m" d="M 0 0.5 \nC 0.1 0.5 0.2 0.4 0.3 0.3 z"/>'
    style = "fill: {}; fill-opacity: 0.3; stroke: red; stroke-opacity: 0.3"
    use = '<use xlink:href="#m" x="{}" y="2.04" style="{}"/>\n'
    page = f'<div class="gm-plot"><svg role="img">{disc}{{}}</svg></div>'

    def points(count, fill="red"):
        return "".join(use.format(x, style.format(fill)) for x in range(count))

    after = mended_once_and_for_all(page.format(points(45)))
    dots = re.findall(r'<path style="stroke-linecap: round" d="([^"]*)"/>', after)
    assert [path.count("h0") for path in dots] == [20, 20, 5]
    assert "".join(dots) == "".join(f"M{x}.0 2.0h0" for x in range(45))
    drawn = "fill: none; stroke: red; stroke-opacity: 0.3; stroke-width: 2"  # the radius twice, and the line
    assert f'<g style="{drawn}">' in after
    for kept in (points(20), points(45, fill="blue"), points(45).replace("#m", "#square")):
        assert mended_once_and_for_all(page.format(kept)).count("<use ") == kept.count("<use ")


def test_words_of_code_without_a_colour_of_their_own_are_plain_text():
    code = '<div class="highlight"><pre><span class="k">def</span><span class="w"> </span>{}</pre></div>'
    page = code.format('<span class="n">x</span>') + '<span class="n">x</span>'
    after = '<div class="highlight"><pre><span class="k">def</span> x</pre></div><span class="n">x</span>'
    assert mended_once_and_for_all(page) == after


def test_scripts_wait_for_the_text_but_for_the_options_that_scripts_within_the_page_set():
    page = '<script src="a.js"></script><script defer src="b.js"></script><script id="x" src="c.js"></script>'
    kept = '<script src="_static/documentation_options.js?v=1"></script><script>DOCUMENTATION_OPTIONS.a = 1</script>'
    after = (
        '<script defer src="a.js"></script><script defer src="b.js"></script><script defer id="x" src="c.js"></script>'
    )
    assert mended_once_and_for_all(page + kept) == after + kept
    assert mend_pages.mend(page, {}, "search.html") == page


def test_a_page_knows_light_from_dark_before_it_is_drawn():
    script = '<script data-cfasync="false">{}</script>'
    after = mended_once_and_for_all(script.format(mend_pages.THEME))
    assert after == script.format(mend_pages.CHOSEN)


def test_a_page_that_sphinx_adds_is_described_by_its_title():
    after = mended_once_and_for_all("<title>Index &#8212; A book</title>")
    assert (
        after == '<title>Index &#8212; A book</title>\n    <meta name="description" content="Index &#8212; A book" />'
    )
    page = '<meta name="description" content="x" /><title>T</title>'
    assert mended_once_and_for_all(page) == page


def test_the_search_index_is_left_to_the_search_page():
    page = '<p></p><script src="../searchindex.js?v=1"></script>'
    assert mended_once_and_for_all(page) == "<p></p>"
    assert mend_pages.mend(page, {}, "search.html") == page


def test_of_the_style_sheets_what_some_page_or_script_can_use_is_kept():
    css = (
        ".a,.gone .b{x:1}.gone{x:2}@media (width>1px){.gone{x:3}}@media print{.b{x:4}}p{x:5}@keyframes k{12.5%{x:6}}"
        '.a:not(.gone){x:7}[class*=".gone"]{x:8}@font-face{font-family:Font Awesome\\ 6 Free;src:url(f)}.bs-tip{x:9}'
    )
    words = mend_pages.vocabulary(['<p class="a c">'], ["list.add('b')"])
    assert mend_pages.purge(css, words) == (
        '.a{x:1}@media print{.b{x:4}}p{x:5}@keyframes k{12.5%{x:6}}.a:not(.gone){x:7}[class*=".gone"]{x:8}.bs-tip{x:9}'
    )


def test_one_style_sheet_stands_where_the_first_stood():
    page = (
        '<link href="../_static/styles/theme.css?digest=1" rel="stylesheet" />\n<b>\n'
        '<link rel="stylesheet" type="text/css" href="../_static/mystnb.12.css?v=2" />\n'
    )
    after = mend_pages.one_style_sheet(page, "abc", "page.html")
    assert after == '<link rel="stylesheet" href="../_static/styles/bundle.css?v=abc" />\n<b>\n'
    assert mend_pages.one_style_sheet(after, "abc", "page.html") == after
    with pytest.raises(ValueError, match=r"page.html links style sheets .*other.css"):
        mend_pages.one_style_sheet('<link rel="stylesheet" href="_static/other.css">', "abc", "page.html")


def test_addresses_in_the_style_sheets_hold_from_the_bundle(tmp_path):
    for pattern in mend_pages.STYLES:
        path = tmp_path / pattern.replace("*", "1")
        path.parent.mkdir(exist_ok=True)
        path.write_text("/* gone */", encoding="utf-8")
    (tmp_path / "basic.css").write_text('p{background:url("file.png")}q{background:url(data:x)}', encoding="utf-8")
    assert mend_pages.join_styles(tmp_path).strip() == 'p{background:url("../file.png")}q{background:url(data:x)}'


def test_a_rule_for_a_class_that_a_script_puts_together_stays():
    script = 'stage.innerHTML = `<div class="gm-live-ui gm-live-${name}">`'
    words = mend_pages.vocabulary([], [script])
    css = ".gm-live-cloud .gm-live-ui{width:50%}.gm-other-cloud{width:1%}"
    assert mend_pages.purge(css, words) == ".gm-live-cloud .gm-live-ui{width:50%}"

"""The checker of the built book: what in it needs no browser."""

import gzip
import urllib.request

import numpy as np
import pytest

from tools import check_book


@pytest.mark.parametrize("alt", [None, "", "plot", "../../_images/a b.png", "loss curve.SVG"])
def test_texts_that_say_nothing_of_an_image(alt):
    assert check_book.poor_alt(alt)


def test_a_text_that_describes_an_image():
    assert not check_book.poor_alt("Two bells. They overlap.")


def test_a_file_weighs_what_a_server_sends(tmp_path):
    (tmp_path / "page.html").write_bytes(b"a" * 1000)
    assert check_book.gzipped(tmp_path / "page.html") == len(gzip.compress(b"a" * 1000, mtime=0)) < 50
    (tmp_path / "font.woff").write_bytes(b"ab")  # compressing makes it larger
    assert check_book.gzipped(tmp_path / "font.woff") == 2


def test_an_address_is_a_file_of_the_site(tmp_path):
    with check_book.served(tmp_path) as address:
        (tmp_path / "a b.txt").write_text("here", encoding="utf-8")
        wanted = f"{address}/a%20b.txt?v=3#x"
        assert urllib.request.urlopen(wanted).read() == b"here"
    assert check_book.file_of(wanted, address, tmp_path) == tmp_path / "a b.txt"
    opened = tmp_path.as_uri()
    assert check_book.file_of(f"{opened}/a%20b.txt?v=3#x", opened, tmp_path) == tmp_path / "a b.txt"


def test_pages_that_sphinx_adds_are_looked_at_as_well(tmp_path):
    for name in ("index", "search", "_modules/genmodels/vae", "_static/webpack", "book/reference/old"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.html").touch()
    pages = check_book.all_pages(tmp_path)
    assert "book/1-vae/elbo" in pages
    assert pages[-2:] == ["_modules/genmodels/vae", "search"]
    assert not {"index", "_static/webpack", "book/reference/old"} & set(pages)


# ------------------------------------------------------------------ text in drawings


def test_the_measure_of_contrast_is_that_of_wcag():
    black, white = check_book.colour("rgb(0, 0, 0)"), np.ones((1, 3))
    assert check_book.contrast(black, white) == pytest.approx(21)
    assert check_book.contrast(check_book.colour("rgb(119, 119, 119)"), white) == pytest.approx(4.48, abs=0.01)
    # Half as opaque, black on white is a grey.
    half = check_book.contrast(check_book.colour("rgba(0, 0, 0, 0.5)"), white)
    assert half == pytest.approx(check_book.contrast(check_book.colour("rgb(127.5, 127.5, 127.5)"), white))
    with pytest.raises(ValueError, match="not a computed colour: 'url"):
        check_book.colour('url("#gradient")')


def painted(ground: np.ndarray) -> np.ndarray:
    """A picture with a word on it in lime, three strokes of two pixels."""
    picture = ground.copy()
    for column in (4, 10, 16):
        picture[2:10, column : column + 2] = [0, 1, 0]
    return picture


def test_text_is_measured_against_what_lies_behind_its_letters():
    ink = check_book.colour("rgb(0, 0, 0)")
    page = np.ones((12, 22, 3))
    assert check_book.text_contrast(ink, painted(page), page) == pytest.approx(21)
    beside = page.copy()
    beside[:, 7:9] = 0.1  # a bar between two strokes hides nothing
    assert check_book.text_contrast(ink, painted(beside), beside) == pytest.approx(21)
    line = page.copy()
    line[5] = 0.5  # so does a thin line through the word
    assert check_book.text_contrast(ink, painted(line), line) == pytest.approx(21)
    thick = page.copy()
    thick[3:9] = 0.5  # a beam is no line
    assert check_book.text_contrast(ink, painted(thick), thick) == pytest.approx(5.3, abs=0.1)
    lines = page.copy()
    lines[::2] = 0.4  # nor are many of them
    assert check_book.text_contrast(ink, painted(lines), lines) < 4.5
    one = page.copy()
    one[:, 15:] = 0.4  # one of three letters stands on a bar
    assert check_book.text_contrast(ink, painted(one), one) < 4.5
    behind = page.copy()
    behind[:, :11] = 0.4  # half of the word stands on a bar
    assert check_book.text_contrast(ink, painted(behind), behind) < 4.5
    assert check_book.text_contrast(ink, page, page) == 1  # nothing is seen at all


def test_equal_findings_are_one_line_and_the_table_counts_them_all():
    light, phone = check_book.View("a", "light", 1280, 5000, 7, 0.25), check_book.View("a", "dark", 390, 6000, 6, 0.5)
    for where in ("#x", "#y"):
        light.wrong("axe", "no name", where)
    phone.wrong("id", "stands twice", "#z")
    assert light.lines() == ["a | light | 1280 | axe: no name | #x (and 1 more)"]
    assert phone.lines() == ["a | dark | 390 | id: stands twice | #z"]
    assert check_book.table([light, phone]).splitlines()[1].split() == ["a", "6", "7", "0.250", "0.500", "2", "1"]

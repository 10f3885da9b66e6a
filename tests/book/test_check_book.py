"""The checker of the built book: what in it needs no browser."""

import gzip
import urllib.request

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
    assert check_book.file_of(wanted, tmp_path) == tmp_path / "a b.txt"


def test_equal_findings_are_one_line_and_the_table_counts_them_all():
    light, phone = check_book.View("a", "light", 1280, 5000, 7, 0.25), check_book.View("a", "dark", 390, 6000, 6, 0.5)
    for where in ("#x", "#y"):
        light.wrong("axe", "no name", where)
    phone.wrong("id", "stands twice", "#z")
    assert light.lines() == ["a | light | 1280 | axe: no name | #x (and 1 more)"]
    assert phone.lines() == ["a | dark | 390 | id: stands twice | #z"]
    assert check_book.table([light, phone]).splitlines()[1].split() == ["a", "6", "7", "0.250", "0.500", "2", "1"]

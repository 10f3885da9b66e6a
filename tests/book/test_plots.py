"""Figures: inline SVG that follows the theme, says what it shows, and refuses what it cannot draw."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from genmodels import plots


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        mpl.use("agg")
        plots.use_style()
        yield
        plt.close("all")


def test_a_shown_figure_is_an_image_with_words_whose_inks_are_variables():
    picture = plots.show(plots.curves({"one": [3.0, 2.0, 1.0], "two": [1.0, 2.0, 3.0]}), 'Two "curves" & more')
    svg = BeautifulSoup(picture._repr_html_(), "html.parser").div.svg
    assert (svg["role"], svg["aria-label"]) == ("img", 'Two "curves" & more')
    assert not svg.has_attr("width")  # as wide as the page allows, by its style
    assert {text.text for text in svg.find_all("text")} >= {"step", "nats", "one", "two"}
    for text in svg.find_all("text"):
        assert "var(--gm-ink" in text["style"]
    for ink in ("data", "latent"):
        assert f"stroke: var(--gm-{ink}, " in picture.svg
    assert svg.find("style") is None  # its rules would apply to the whole page


def test_show_closes_the_figure_so_that_a_notebook_does_not_show_it_twice():
    fig = plots.curves({"loss": [1.0]})
    plots.show(fig, "one point")
    assert not plt.fignum_exists(fig.number)


def test_the_same_figure_gives_the_same_svg_and_others_share_no_ids():
    def ids(values, alt):
        svg = plots.show(plots.curves({"loss": values}), alt).svg
        return svg, {tag["id"] for tag in BeautifulSoup(svg, "html.parser").find_all(id=True)}

    first, first_ids = ids([1.0, 2.0], "a")
    assert ids([1.0, 2.0], "a")[0] == first
    assert first_ids
    assert not first_ids & ids([1.0, 3.0], "b")[1]


def test_every_reference_within_the_svg_finds_its_target():
    svg = plots.show(plots.curves({"loss": [1.0, 2.0]}), "a").svg
    soup = BeautifulSoup(svg, "html.parser")
    ids = {tag["id"] for tag in soup.find_all(id=True)}
    used = {tag["xlink:href"][1:] for tag in soup.find_all("use")}
    clipped = {tag["clip-path"][5:-1] for tag in soup.find_all(attrs={"clip-path": True})}
    assert used
    assert clipped
    assert used | clipped <= ids


def test_an_empty_text_alternative_is_refused():
    with pytest.raises(ValueError, match="alt must say"):
        plots.show(plots.curves({"loss": [1.0]}), "  ")


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 1, 4, 6), (5, 3, 4, 6)])
def test_image_grid_puts_each_image_in_its_place(shape):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    fig = plots.image_grid(images, n_cols=3)
    sheet = np.asarray(fig.axes[0].images[0].get_array())
    factor = sheet.shape[0] // (2 * 5 - 1)
    sheet = sheet[::factor, ::factor]  # one sample for each pixel
    assert sheet.shape == (9, 3 * 7 - 1, 4)
    pixels = images.reshape(5, -1, 4, 6).expand(5, 3, 4, 6).permute(0, 2, 3, 1).numpy()
    for index in range(5):
        top, left = index // 3 * 5, index % 3 * 7
        assert sheet[top : top + 4, left : left + 6, :3] == pytest.approx(pixels[index])
        assert (sheet[top : top + 4, left : left + 6, 3] == 1).all()
    assert (sheet[4, :, 3] == 0).all()  # the gap, and the place of the sixth image, show the page
    assert (sheet[5:, 14:, 3] == 0).all()


def test_image_grid_clips_what_lies_outside_of_the_range():
    sheet = plots.image_grid(torch.tensor([[[-1.0, 2.0]]]), n_cols=1).axes[0].images[0].get_array()
    assert sheet[..., :3].min() == 0
    assert sheet[..., :3].max() == 1


@pytest.mark.parametrize(
    ("shape", "n_cols", "message"),
    [
        ((8, 8), 2, r"images must be .* got \(8, 8\)"),
        ((2, 4, 8, 8), 2, r"images must be .* got \(2, 4, 8, 8\)"),
        ((0, 8, 8), 2, "at least one image"),
        ((2, 8, 8), 0, "n_cols must be at least 1, got 0"),
    ],
)
def test_image_grid_refuses_what_it_cannot_draw(shape, n_cols, message):
    with pytest.raises(ValueError, match=message):
        plots.image_grid(torch.zeros(shape), n_cols=n_cols)


def test_curves_takes_tensors_and_its_own_x():
    fig = plots.curves({"loss": torch.tensor([3.0, 1.0], requires_grad=True)}, x=[10, 20], xlabel="epoch")
    (line,) = fig.axes[0].lines
    assert line.get_xdata().tolist() == [10, 20]
    assert line.get_ydata().tolist() == [3, 1]
    assert fig.axes[0].get_xlabel() == "epoch"


@pytest.mark.parametrize(
    ("history", "x", "message"),
    [
        ({}, None, "at least one curve"),
        ({"loss": [[1.0]]}, None, r"history\['loss'\] must have shape"),
        ({"loss": [1.0, 2.0]}, [1], r"history\['loss'\] must have shape \(1,\), got \(2,\)"),
    ],
)
def test_curves_refuses_what_it_cannot_draw(history, x, message):
    with pytest.raises(ValueError, match=message):
        plots.curves(history, x)

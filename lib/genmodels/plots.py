"""Figures that read in the light and in the dark, and the colours that every figure of the book shares.

A figure is drawn with matplotlib and shown as SVG inside the page, with each ink written as a CSS variable:
the book's style sheet gives the variables a value for each theme, JupyterLab's own text colour is used there, and
anywhere else the figure keeps the colours below. Text stays text: it scales, it can be selected, and it is read out.
"""

import hashlib
import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

# One colour for one thing, everywhere in the book. Hues after Okabe and Ito, told apart with any colour vision,
# darkened until small text in them has a contrast of 4.5:1 on white. book/assets/css/book.css holds
# the same ones, and lighter ones for the dark theme, as --gm-data and so on.
DATA = "#0072b2"
NOISE = "#6f6f6f"
LATENT = "#b84a00"
MODEL = "#00573f"
PRIOR = "#7d2462"
COLOURS = {"data": DATA, "noise": NOISE, "latent": LATENT, "model": MODEL, "prior": PRIOR}

INK = "#1b1c1d"
GRID = "#d3d6d9"
_VARIABLES = {
    INK: f"var(--gm-ink, var(--jp-content-font-color1, {INK}))",
    GRID: f"var(--gm-grid, var(--jp-border-color2, {GRID}))",
    **{colour: f"var(--gm-{name}, {colour})" for name, colour in COLOURS.items()},
}

STYLE: dict[Any, Any] = {
    "figure.figsize": (4.8, 3.0),
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(
        color=[DATA, LATENT, MODEL, PRIOR, NOISE], linestyle=["-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1))]
    ),
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "font.size": 10.0,
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "genmodels",  # the same figure gives the same SVG
}


class Picture:
    """A finished figure: inline SVG with a text alternative. Jupyter and the book show it by themselves."""

    def __init__(self, svg: str, alt: str):
        self.svg = svg
        self.alt = alt

    def _repr_html_(self) -> str:
        return f'<div class="gm-plot">{self.svg}</div>'

    def __repr__(self) -> str:
        return f"Picture({self.alt!r})"


def use_style() -> None:
    """Make matplotlib draw as the book does, from here on."""
    mpl.rcParams.update(STYLE)


def show(fig: Figure, alt: str) -> Picture:
    """Turn a figure into inline SVG that follows the page's theme, and close it.

    ``alt`` says in words what the figure shows: it is what a reader who does not see it gets. Put the call last in
    its cell, or pass the result to ``display``.

    Raises
    ------
    ValueError
        If ``alt`` is empty.
    """
    if not alt.strip():
        raise ValueError("alt must say in words what the figure shows, got an empty string")
    buffer = io.StringIO()
    with mpl.rc_context({key: STYLE[key] for key in ("svg.fonttype", "svg.hashsalt", "savefig.facecolor")}):
        fig.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.05, metadata={"Date": None})
    plt.close(fig)  # else the notebook shows it a second time
    return Picture(_inline(buffer.getvalue(), alt), alt)


def _inline(svg: str, alt: str) -> str:
    """Make matplotlib's SVG document a part of a page."""
    svg = svg[svg.index("<svg") :]  # no XML declaration within HTML
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Its only rule would apply to the whole page; the svg element gets it instead.
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = re.sub(re.escape(colour), variable, svg, flags=re.IGNORECASE)
    # Two figures on one page must not share ids, or the first one's clip paths apply to the second.
    prefix = "gm" + hashlib.sha256((svg + alt).encode()).hexdigest()[:8] + "-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    svg = svg.replace("url(#", f"url(#{prefix}")
    svg = re.sub(r"font-family: 'DejaVu Sans',[^;]*", "font-family: var(--pst-font-family-base, sans-serif)", svg)
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1])  # type: ignore[index]
    head = (
        f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" '
        f'style="width: 100%; max-width: {width * 4 / 3:.0f}px; height: auto; '
        'stroke-linejoin: round; stroke-linecap: butt" '
    )
    opening = svg[: svg.index(">")]
    attributes = re.sub(r'\b(width|height)="[^"]*"', "", opening[len("<svg") :]).strip()
    return head + attributes + svg[len(opening) :]


def image_grid(images: ArrayLike, n_cols: int, cell: float = 0.55) -> Figure:
    """Images side by side, row by row, as one figure.

    ``images`` are (N, H, W), (N, 1, H, W) or (N, 3, H, W), values in [0, 1] (what lies outside is clipped); ``cell`` is
    the width of one image in inches.

    Raises
    ------
    ValueError
        If ``images`` has another shape or no image, or ``n_cols`` is less than 1.
    """
    pixels = _as_array(images)
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3):
        pixels = np.moveaxis(pixels, 1, -1)
    elif pixels.ndim == 3:
        pixels = pixels[..., None]
    else:
        raise ValueError(f"images must be (N, H, W), (N, 1, H, W) or (N, 3, H, W), got {pixels.shape}")
    if len(pixels) == 0:
        raise ValueError("images must hold at least one image, got none")
    if n_cols < 1:
        raise ValueError(f"n_cols must be at least 1, got {n_cols}")
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], 3)).clip(0, 1)
    n, height, width, _ = pixels.shape
    n_cols = min(n_cols, n)
    n_rows = -(-n // n_cols)
    # One transparent pixel between neighbours shows the page's own background.
    sheet = np.zeros((n_rows * (height + 1) - 1, n_cols * (width + 1) - 1, 4))
    for index, image in enumerate(pixels):
        top, left = index // n_cols * (height + 1), index % n_cols * (width + 1)
        sheet[top : top + height, left : left + width, :3] = image
        sheet[top : top + height, left : left + width, 3] = 1
    fig = plt.figure(figsize=(n_cols * cell, n_rows * cell * height / width))
    axes = fig.add_axes((0, 0, 1, 1))
    axes.imshow(_enlarge(sheet, 160), interpolation="none")
    axes.set_axis_off()
    return fig


def _enlarge(sheet: NDArray, at_least: int) -> NDArray:
    """Repeat pixels until a small image stays sharp: browsers blur one that they enlarge."""
    factor = max(1, -(-at_least * 4 // max(sheet.shape[:2])))
    return sheet.repeat(factor, axis=0).repeat(factor, axis=1)


def curves(
    history: Mapping[str, Sequence[float] | ArrayLike],
    x: ArrayLike | None = None,
    xlabel: str = "step",
    ylabel: str = "nats",
) -> Figure:
    """Curves over training, one for each entry of ``history`` (name -> values), told apart by colour and by dashes.

    Every curve is a sequence of the same length as ``x``; without ``x`` the values are numbered from 1.

    Raises
    ------
    ValueError
        If ``history`` is empty, or a curve is not 1-d or not as long as ``x``.
    """
    if not history:
        raise ValueError("history must hold at least one curve, got none")
    fig, axes = plt.subplots()
    for name, values in history.items():
        points = _as_array(values)
        at = np.arange(1, points.size + 1) if x is None else _as_array(x)
        if points.ndim != 1 or points.shape != at.shape:
            plt.close(fig)
            raise ValueError(f"history[{name!r}] must have shape {at.shape}, got {points.shape}")
        axes.plot(at, points, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if len(history) > 1:
        axes.legend()
    return fig


def _as_array(values: object) -> NDArray:
    """A numpy array of floats, from tensors on any device as well."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values, dtype=float)

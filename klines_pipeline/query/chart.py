"""Pictures of klines and of certificates, as PNG. Needs the extra `charts`; nothing else imports matplotlib.

A picture for a page is small: few colours, few pixels. What is drawn is prepared in `klines`.
"""

from collections.abc import Sequence
from datetime import timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import matplotlib.dates as mdates
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from klines_pipeline.klines.completeness import Cell, Grid
from klines_pipeline.query.lettering import Lettering, lettering

_UP, _DOWN, _INK = "#1a8a6f", "#c8453b", "#333333"
_BODY = 0.7
"""Width of a candle's body, as a share of the interval."""
_CELLS = {
    Cell.COMPLETE: ("#1a8a6f", "complete"),
    Cell.EXPLAINED: ("#8fd0c0", "gap explained: halted, delisted or not listed yet"),
    Cell.MISSING: ("#c8453b", "klines missing, not explained"),
    Cell.NOTHING: ("#e4e4e4", "not in the lake"),
}
_COLOURS = 32
"""Of a small picture: smooth letters need a few greys."""
_ROW, _DAY, _ABOVE, _BELOW, _NAMES, _LETTER, _LEGEND = 0.16, 0.22, 0.4, 0.8, 1.6, 0.075, 7.5
"""Inches: a symbol's row, a day's column, and the room for title, legend, names, a letter, and the legend's width."""
_DPI = 72


def candlestick(klines: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw klines of one symbol, in time order, with volume below, as a PNG."""
    figure = _candlestick(klines, title, (11, 5.5))
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=110)


def small_candlestick(klines: pl.DataFrame, *, title: str) -> bytes:
    """The same as a picture for a page."""
    figure = _candlestick(klines, title, (9, 4.2))
    figure.subplots_adjust(left=0.1, right=0.99, top=0.92, bottom=0.1, hspace=0.08)
    return _small(figure)


def small_heat_map(grid: Grid, *, title: str) -> bytes:
    """Symbols down, days across; a picture for a page."""
    names = [lettering(symbol, 8) for symbol in grid.symbols]
    room = max([_NAMES, *(_LETTER * len(name.text) for name in names)])
    width, height = max(room + len(grid.days) * _DAY, _LEGEND), _ABOVE + len(grid.symbols) * _ROW + _BELOW
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    figure.subplots_adjust(left=room / width, right=0.99, top=1 - _ABOVE / height, bottom=_BELOW / height)
    colours = ListedColormap([_CELLS[cell][0] for cell in Cell])
    axes.pcolormesh(grid.cells, cmap=colours, vmin=0, vmax=len(Cell) - 1, edgecolors="white", linewidth=1)
    axes.invert_yaxis()
    weeks = [place for place, day in enumerate(grid.days) if day.weekday() == 0]
    axes.set_xticks([place + 0.5 for place in weeks], [f"{grid.days[place]:%m-%d}" for place in weeks])
    axes.tick_params(length=0, labelsize=8)
    _name_rows(axes, names)
    axes.spines[:].set_visible(False)
    _set_title(axes, title, 10)
    patches = [Patch(color=colour, label=label) for colour, label in _CELLS.values()]
    figure.legend(handles=patches, loc="lower left", ncols=2, frameon=False, fontsize=8)
    return _small(figure)


def _candlestick(klines: pl.DataFrame, title: str, size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    price, volume = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    times = klines["open_time"].to_list()
    width = _BODY * min((later - earlier for earlier, later in pairwise(times)), default=timedelta(minutes=1))
    rising = klines["close"] >= klines["open"]
    colours = [_UP if up else _DOWN for up in rising]
    lowest, highest = klines.select(pl.min_horizontal("open", "close"), pl.max_horizontal("open", "close").alias("top"))
    price.vlines(times, klines["low"], klines["high"], colors=colours, linewidth=0.8)
    price.bar(times, highest - lowest, width, bottom=lowest, color=colours)
    volume.bar(times, klines["volume"], width, color=colours)
    _set_title(price, title, 12)
    price.set_ylabel("price")
    volume.set_ylabel("volume")
    locator = mdates.AutoDateLocator()
    volume.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    for axes in (price, volume):
        axes.grid(alpha=0.2)
        axes.margins(x=0.01)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _name_rows(axes: Axes, names: Sequence[Lettering]) -> None:
    axes.set_yticks([place + 0.5 for place in range(len(names))], [name.text for name in names], parse_math=False)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontproperties(name.font)


def _set_title(axes: Axes, title: str, size: float) -> None:
    written = lettering(title, size)
    axes.set_title(written.text, loc="left", color=_INK, fontproperties=written.font, parse_math=False)


def _small(figure: Figure) -> bytes:
    """Rendered with a palette."""
    drawn, packed = BytesIO(), BytesIO()
    figure.savefig(drawn, dpi=_DPI, format="png")
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(_COLOURS, Image.Quantize.MAXCOVERAGE).save(packed, format="PNG", optimize=True)
    return packed.getvalue()

"""A candlestick picture of klines. Needs the extra `charts`; nothing else imports matplotlib."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import matplotlib.dates as mdates
import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_UP, _DOWN, _INK = "#1a8a6f", "#c8453b", "#333333"
_BODY = 0.7
"""Width of a candle's body, as a share of the interval."""


def candlestick(klines: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw klines of one symbol, in time order, with volume below, as a PNG."""
    figure = Figure(figsize=(11, 5.5), layout="constrained")
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
    price.set_title(title, loc="left", color=_INK)
    price.set_ylabel("price")
    volume.set_ylabel("volume")
    locator = mdates.AutoDateLocator()
    volume.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    for axes in (price, volume):
        axes.grid(alpha=0.2)
        axes.margins(x=0.01)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)

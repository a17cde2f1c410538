"""How commands read days and print frames: tables for people, JSON lines for programs."""

import json
import sys
from datetime import date, datetime
from typing import Any

import click
import polars as pl
from rich.console import Console
from rich.table import Table

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.domain.utc_day import parse_day

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON lines instead of a table.")
_JSON_ONLY = ["fingerprint", "checked_at"]
_WIDE = 200
"""Columns of a table that goes into a file or a pipe."""


class _Day(click.ParamType[date]):
    """YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Refuse anything else, in a sentence."""
        try:
            return parse_day(str(value))
        except ConfigurationError as error:
            self.fail(str(error), param, ctx)


DAY = _Day()


def print_table(rows: pl.DataFrame, *, as_json: bool) -> None:
    """A table for people, or a JSON object a line."""
    if as_json:
        for row in rows.iter_rows(named=True):
            click.echo(json.dumps(row, default=_json_value, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for name, dtype in rows.schema.items():
        if name not in _JSON_ONLY:
            table.add_column(
                name.removeprefix("from_"), justify="right" if dtype.is_numeric() else "left", no_wrap=True
            )
    for values in rows.drop(_JSON_ONLY, strict=False).iter_rows():
        table.add_row(*(_cell(value) for value in values))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def _json_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _cell(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return ", ".join(_range(gap["start"], gap["end"]) for gap in value) or "-"
    return str(value)


def _range(start: date, end: date) -> str:
    """[start, end): days, or times of a day."""
    return f"{start:%H:%M:%S}-{_end_of_gap(end)}" if isinstance(end, datetime) else f"{start} to {end}"


def _end_of_gap(end: datetime) -> str:
    text = f"{end:%H:%M:%S}"
    return "24:00:00" if text == "00:00:00" else text

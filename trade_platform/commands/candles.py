"""``trade-platform candles``: what a market did, on the terminal, as a picture or for a program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from trade_platform import read
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.history import Known, Span, candle_spans
from trade_platform.commands.candle_table import draw_candles, in_rows, in_words
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.domain.ohlc import INTERVALS
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.surroundings import database

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 40
"""Candles of a table, where nothing else is asked for."""
DRAWN = 120
"""The same of a picture."""
SUFFIXES = {".png": "png", ".svg": "svg"}

_a_file = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("symbol")
@click.option("--exchange", type=click.Choice(sorted(EXCHANGES)), help="Where several list the symbol.")
@click.option("--interval", type=click.Choice(read.INTERVALS), default="1m", show_default=True)
@click.option("--from", "start", help="First opening, UTC: 2026-11-22 or 2026-11-22T14:30.")
@click.option("--to", "end", help="End of the range, exclusive.")
@click.option("--last", type=click.IntRange(1), help=f"So many of the newest; else {SHOWN}, drawn {DRAWN}.")
@click.option("--source", type=click.Choice(read.SOURCES), help="Made of trades, or the exchange's own.")
@click.option("--complete", "complete_only", is_flag=True, help="Only what is proven complete.")
@click.option("--plot", type=_a_file, help="Draw them into FILE.png or FILE.svg.")
@click.option("--csv", "csv", type=_a_file, help="Write them into a file, exact to the last digit.")
@of_replay
@click.option("--json", "as_json", is_flag=True)
def candles(
    symbol: str,
    *,
    exchange: str | None,
    interval: str,
    start: str | None,
    end: str | None,
    last: int | None,
    source: str | None,
    complete_only: bool,
    plot: Path | None,
    csv: Path | None,
    replay: bool,
    as_json: bool,
) -> None:
    """Candles of SYMBOL, the newest or those of a range. Exit code 1 when there are none."""
    if plot and plot.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"--plot {plot}: name a file that ends with .png or .svg.")
    if last and start:
        raise click.UsageError("--last and --from exclude each other.")
    with database(settings_of(replay=replay)) as connection:
        try:
            one = read.known(connection, symbol, exchange)
            frame = read.candles(
                *(one.symbol, interval),
                exchange=one.exchange,
                start=start,
                end=end,
                last=None if start else last or (DRAWN if plot else SHOWN),
                source=source,
                complete_only=complete_only,
                url=connection,
            )
        except read.ReadError as error:
            _refuse(str(error))
        if frame.empty:
            click.echo(_nothing(connection, one, interval), err=True)
            sys.exit(1)
    _hand_on(frame, plot, csv, as_json=as_json)


def _hand_on(frame: pd.DataFrame, plot: Path | None, csv: Path | None, *, as_json: bool) -> None:
    written = []
    if plot:
        written.append(_write(plot, _drawn(frame, plot)))
    if csv:
        written.append(_write(csv, _as_csv(frame).encode()))
    if as_json:
        click.echo(msgspec.json.encode({**frame.attrs, "candles": in_rows(frame)}))
        return
    if not written:
        console.print(draw_candles(frame))
    for path in written:
        console.print(f"{path}: {in_words(frame)}", soft_wrap=True, markup=False)


def _drawn(frame: pd.DataFrame, path: Path) -> bytes:
    from trade_platform.pictures.candle_chart import MOST  # noqa: PLC0415 - only who draws pays for it
    from trade_platform.pictures.frame_chart import chart_of  # noqa: PLC0415

    if len(frame) > MOST:
        _refuse(
            f"{len(frame):,} candles are too many for one picture: choose a wider --interval, or a range "
            f"of no more than {MOST:,}."
        )
    kind: Any = SUFFIXES[path.suffix.lower()]
    return chart_of(frame, kind=kind)


def _as_csv(frame: pd.DataFrame) -> str:
    """Without the zeros that a decimal is padded with."""
    rows = in_rows(frame)
    names = rows[0].__struct_fields__
    lines = [",".join(names), *(",".join(_word(getattr(row, name)) for name in names) for row in rows)]
    return "\n".join(lines) + "\n"


def _word(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write(path: Path, content: bytes) -> Path:
    try:
        path.write_bytes(content)
    except OSError as error:
        _refuse(f"{path} cannot be written ({error.strerror}): choose another file.")
    return path


def _refuse(sentence: str) -> NoReturn:
    click.echo(f"trade-platform: {sentence}", err=True)
    sys.exit(2)


def _nothing(connection: Connection, one: Known, interval: str) -> str:
    spans = candle_spans(connection, one.instrument_id)
    if not spans:
        return (
            f"No candles of {one.symbol} ({one.exchange}) are stored: `trade-platform instruments` shows "
            "what is recorded, `trade-platform backfill` reads what is past."
        )
    there = "; ".join(_span(span) for span in _by_width(spans))
    return f"No {interval} candles of {one.symbol} ({one.exchange}) are stored of that; there are {there}."


def _by_width(spans: Sequence[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: (INTERVALS.get(span.interval, 0), span.source))


def _span(span: Span) -> str:
    of = "made of trades" if span.source == "trade" else "of the exchange"
    between = f"{span.first:%Y-%m-%d %H:%M} to {span.last:%Y-%m-%d %H:%M}"
    return f"{span.count:,} of {span.interval} {of}, {between}"

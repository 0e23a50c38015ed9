"""Candles as a person sees them on the terminal, and as a program reads them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

MOST = 200
"""Rows of a table."""
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 60


class CandleRow(msgspec.Struct, frozen=True):
    """One candle as ``--json`` and ``--csv`` say it: decimals as text, times ISO 8601, UTC."""

    open_time: str
    open: str | None
    high: str | None
    low: str | None
    close: str | None
    volume: str | None
    quote_volume: str | None
    trades: int | None
    taker_buy_volume: str | None
    taker_buy_quote_volume: str | None
    first_id: int | None
    last_id: int | None
    complete: bool
    source: str


def in_rows(frame: pd.DataFrame) -> list[CandleRow]:
    """For a script."""
    times = [at.isoformat().replace("+00:00", "Z") for at in frame.index.to_pydatetime()]
    columns = [_plain_column(frame[name]) for name in CandleRow.__struct_fields__[1:]]
    return [CandleRow(*row) for row in zip(times, *columns, strict=True)]


def _plain_column(series: Any) -> list[Any]:
    return [
        None if missing else plain(value) if isinstance(value, Decimal) else value
        for value, missing in zip(series.tolist(), series.isna(), strict=True)
    ]


def plain(value: Decimal) -> str:
    """All its digits, without padding and without an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def draw_candles(frame: pd.DataFrame) -> Group:
    """A line of what the price did, then the candles, the newest last."""
    rows = in_rows(frame)
    shown = rows[-MOST:]
    notes = [Text(in_words(frame), style="dim")]
    if len(rows) > len(shown):
        words = f"{len(rows) - len(shown):,} earlier ones are not shown: --csv FILE has all."
        notes.append(Text(words, style="dim"))
    return Group(_head(frame, rows), _table(shown), *notes)


def in_words(frame: pd.DataFrame) -> str:
    """How many, from when to when, and how many are not proven."""
    told, complete = frame.attrs, int(frame["complete"].sum())
    first, last = frame.index[0], frame.index[-1]
    count = "1 candle" if len(frame) == 1 else f"{len(frame):,} candles"
    text = (
        f"{count} of {told['interval']}, {told['symbol']} on {told['exchange']}, "
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    )
    return text if complete == len(frame) else f"{text}; {len(frame) - complete:,} not proven complete"


def _head(frame: pd.DataFrame, rows: Sequence[CandleRow]) -> Text:
    closes = [Decimal(row.close) for row in rows if row.close is not None]
    told = frame.attrs
    text = Text.assemble(
        ("", ""), (f"{told['symbol']} {told['interval']}", "bold"), f"  {told['exchange']}  "
    )
    if not closes:
        return text.append("no price", style="dim")
    change = (closes[-1] / closes[0] - 1) * 100 if closes[0] else Decimal(0)
    colour = "green" if change >= 0 else "red"
    text.append(plain(closes[-1]), style="bold")
    text.append(f"  {change:+.2f} %\n", style=colour)
    text.append(sparkline(closes), style=colour)
    return text.append(f"  {plain(min(closes))} … {plain(max(closes))}", style="dim")


def sparkline(values: Sequence[Decimal], width: int = SPARK_WIDTH) -> str:
    """One character for each value, or for the last of several."""
    size = min(width, len(values))
    chosen = [values[(at + 1) * len(values) // size - 1] for at in range(size)]
    low, high = min(chosen), max(chosen)
    room = high - low
    top = len(SPARKS) - 1
    return "".join(
        SPARKS[int((value - low) / room * top + Decimal("0.5")) if room else 0] for value in chosen
    )


def _table(rows: Sequence[CandleRow]) -> Table:
    sources = {row.source for row in rows}
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("opens (UTC)", no_wrap=True)
    for name in ("open", "high", "low", "close", "volume", "trades"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("proven", justify="center")
    if len(sources) > 1:
        table.add_column("source", no_wrap=True)
    prices = [_aligned([getattr(row, name) for row in rows]) for name in ("open", "high", "low", "close")]
    volumes = _aligned([row.volume for row in rows])
    for at, row in enumerate(rows):
        rising = row.close is None or row.open is None or Decimal(row.close) >= Decimal(row.open)
        table.add_row(
            row.open_time[:16].replace("T", " "),
            *(column[at] for column in prices[:3]),
            Text(prices[3][at], style="green" if rising else "red"),
            volumes[at],
            "–" if row.trades is None else f"{row.trades:,}",
            Text("✓", style="green") if row.complete else Text("not yet", style="yellow"),
            *((row.source,) if len(sources) > 1 else ()),
        )
    return table


def _aligned(values: Sequence[str | None]) -> list[str]:
    """With as many decimals as the longest of them, so that the points stand below each other."""
    decimals = max((len(value.partition(".")[2]) for value in values if value), default=0)
    return ["–" if value is None else f"{Decimal(value):,.{decimals}f}" for value in values]

"""Reads the simulator's ledger: what an exchange really emitted, as JSON lines, one file per exchange.

Only ``verify`` reads it; nothing of the pipeline does, so that the proof stays independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from trade_platform.domain.model import MICROSECONDS


class LedgerTrade(msgspec.Struct, frozen=True, tag="trade", tag_field="kind", gc=False):
    """One trade that the simulator printed. Decimals stay text: they go to PostgreSQL as they are."""

    symbol: str
    channel: str
    sequence: int
    price: str
    quantity: str
    side: str
    event_time: int
    """Microseconds UTC."""
    first_id: int
    last_id: int


class LedgerCandle(msgspec.Struct, frozen=True, tag="candle", tag_field="kind", gc=False):
    """One closed minute as the simulator's trades make it; None where the exchange has no such field."""

    symbol: str
    open_time: int
    """Microseconds UTC."""
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int | None = None
    taker_buy_volume: str | None = None
    taker_buy_quote_volume: str | None = None
    first_id: int | None = None
    last_id: int | None = None


class LedgerUnreadable(Exception):
    """A line of a ledger is not what a ledger holds."""


_TAIL_BYTES = 64 * 1024
_decoder = msgspec.json.Decoder(LedgerTrade | LedgerCandle)


def ledgers(folder: Path) -> list[Path]:
    """The ledgers of a data folder, one per exchange; empty where no simulator has written."""
    return sorted((folder / "ledger").glob("*.jsonl"))


def read_ledger(path: Path) -> Iterator[LedgerTrade | LedgerCandle]:
    """Every line in order; a torn last line (the writer was killed) was never sent and is left out."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _decoder.decode(line)
            except msgspec.DecodeError as error:
                raise LedgerUnreadable(
                    f"{path} line {number} is no ledger line ({error}): it was altered, or is of another "
                    "version; move the data folder away to begin anew."
                ) from error


def latest_market_time(folder: Path) -> int | None:
    """Event time, microseconds UTC, of the newest trade in any ledger of the folder; None where none is."""
    times = [time for path in ledgers(folder) if (time := _last_event_time(path)) is not None]
    return max(times, default=None)


def _last_event_time(path: Path) -> int | None:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            row = _decoder.decode(line)
        except msgspec.DecodeError:
            continue
        return row.event_time if isinstance(row, LedgerTrade) else row.open_time + 60 * MICROSECONDS
    return None

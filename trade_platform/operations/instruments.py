"""What is recorded by the present selection, and what it costs in rows a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from trade_platform.domain.cost import rows_a_day
from trade_platform.domain.model import Instrument
from trade_platform.domain.selection import Selection, resolve
from trade_platform.exchanges.session import Exchange


class RecordedInstrument(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument, its channels, and their rows a day together."""

    exchange: str
    symbol: str
    kind: str
    channels: tuple[str, ...]
    rows_a_day: int
    """Of the channels whose rate is known; see ``unknown``."""
    unknown: tuple[str, ...]
    """Channels whose rate only the market decides and of which nothing was recorded yet."""


def recorded_instruments(
    selection: Selection,
    exchange: Exchange,
    instruments: Sequence[Instrument],
    trades_a_day: Mapping[tuple[str, str], int],
) -> list[RecordedInstrument]:
    """Resolve the selection against an exchange's instruments."""
    kinds = {instrument.symbol: instrument.kind for instrument in instruments}
    wanted = resolve(selection, exchange.key, instruments, deliverable=exchange.channels)
    by_symbol: dict[str, dict[str, int | None]] = {}
    for one in wanted:
        by_symbol.setdefault(one.symbol, {})[one.channel.value] = rows_a_day(
            one,
            exchange=exchange.key,
            kind=kinds[one.symbol],
            quote_interval_ms=selection.quote_interval_ms,
            trades_a_day=trades_a_day.get((one.symbol, one.channel.value)),
        )
    return [
        RecordedInstrument(
            exchange=exchange.key,
            symbol=symbol,
            kind=kinds[symbol].value,
            channels=tuple(rows),
            rows_a_day=sum(count for count in rows.values() if count is not None),
            unknown=tuple(channel for channel, count in rows.items() if count is None),
        )
        for symbol, rows in by_symbol.items()
    ]

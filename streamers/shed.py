"""What had to be thrown away, kept as Gap records until they can be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from trade_platform.adapters.holdings import Held
from trade_platform.domain.model import (
    Candle,
    Channel,
    Gap,
    GapReason,
    Liquidation,
    Number,
    Record,
    Trade,
    TradeFlag,
)
from trade_platform.exchanges.session import Missing

MOST_GAPS = 50_000


def spans_of(trades: Iterable[Trade]) -> list[Missing]:
    """From the first to the last number of each symbol."""
    spans: dict[tuple[str, Channel], tuple[int, int]] = {}
    for trade in trades:
        key = trade.symbol, _channel_of(trade)
        first, last = spans.get(key, (trade.sequence, trade.sequence))
        spans[key] = min(first, trade.sequence), max(last, trade.sequence)
    return [Missing(symbol, channel, *span) for (symbol, channel), span in spans.items()]


def _channel_of(trade: Trade) -> Channel:
    return Channel.AGGREGATE_TRADE if trade.flags & TradeFlag.AGGREGATE else Channel.TRADE


class Shed:
    """One Gap per symbol and channel, growing with every batch that is shed; bounded by the selection."""

    def __init__(self) -> None:
        self.records = 0
        self._gaps: dict[tuple[str | None, Channel], Gap] = {}

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def add(self, batch: Sequence[Record]) -> None:
        """These records are lost to us."""
        self.records += len(batch)
        for record in batch:
            match record:
                case Trade():
                    self._widen(record.symbol, _channel_of(record), record.receive_time, record.sequence)
                case Candle():
                    self._widen(record.symbol, Channel.CANDLE, record.receive_time)
                case Number():
                    self._widen(record.symbol, record.channel, record.receive_time)
                case Liquidation():
                    self._widen(record.symbol, Channel.LIQUIDATION, record.receive_time)
                case _:
                    pass  # instruments are read again every hour

    def holdings(self) -> Iterator[Held]:
        """Gaps that are to be told."""
        yield Held("shed_gaps", len(self._gaps), MOST_GAPS)

    def take(self) -> list[Gap]:
        """The Gaps so far; counting starts anew."""
        gaps = list(self._gaps.values())
        self._gaps.clear()
        return gaps

    def _widen(self, symbol: str | None, channel: Channel, at: int, sequence: int | None = None) -> None:
        if (symbol, channel) not in self._gaps and len(self._gaps) >= MOST_GAPS:
            symbol, sequence = None, None  # too many to name each: all of the channel
        gap = self._gaps.get((symbol, channel))
        if gap is None:
            gap = Gap(
                symbol, channel, GapReason.SHED, sequence, sequence, at, at + 1, "buffer and spool full"
            )
        else:
            first, last = gap.first_sequence, gap.last_sequence
            if sequence is not None and first is not None and last is not None:
                first, last = min(first, sequence), max(last, sequence)
            gap = msgspec.structs.replace(
                gap,
                first_sequence=first,
                last_sequence=last,
                since=min(gap.since, at),
                until=max(gap.until or 0, at + 1),
            )
        self._gaps[symbol, channel] = gap

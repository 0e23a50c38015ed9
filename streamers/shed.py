"""What had to be thrown away, kept as Gap records until they can be told."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

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


class Shed:
    """One Gap per symbol and channel, growing with every batch that is shed; bounded by the selection."""

    def __init__(self) -> None:
        self.records = 0
        self._gaps: dict[tuple[str, Channel], Gap] = {}

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def add(self, batch: Sequence[Record]) -> None:
        """These records are lost to us."""
        self.records += len(batch)
        for record in batch:
            match record:
                case Trade():
                    aggregate = record.flags & TradeFlag.AGGREGATE
                    channel = Channel.AGGREGATE_TRADE if aggregate else Channel.TRADE
                    self._widen(record.symbol, channel, record.receive_time, record.sequence)
                case Candle():
                    self._widen(record.symbol, Channel.CANDLE, record.receive_time)
                case Number():
                    self._widen(record.symbol, record.channel, record.receive_time)
                case Liquidation():
                    self._widen(record.symbol, Channel.LIQUIDATION, record.receive_time)
                case _:
                    pass  # instruments are read again every hour

    def take(self) -> list[Gap]:
        """The Gaps so far; counting starts anew."""
        gaps = list(self._gaps.values())
        self._gaps.clear()
        return gaps

    def _widen(self, symbol: str, channel: Channel, at: int, sequence: int | None = None) -> None:
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

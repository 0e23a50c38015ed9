"""Binance's bulk archive (data.binance.vision): paths of its files, and rows to the records that REST gives.

Daily files appear on the next day, monthly ones in the month after. Newer files of USD-M begin with a row of
names, older ones and spot's do not. Spot counts microseconds since 2025, everything else milliseconds;
files are issued again at times, so the number's own size says which it is. REST tells milliseconds, and
the time is a part of a trade's identity: the microseconds are left off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from trade_platform.domain.model import Candle, Channel, Trade
from trade_platform.exchanges.archive import ArchiveFile
from trade_platform.exchanges.binance import records, rest, wire
from trade_platform.exchanges.session import ProtocolViolation

URL: Final = "https://data.binance.vision"
KINDS: Final[Mapping[Channel, str]] = {
    Channel.TRADE: "trades",
    Channel.AGGREGATE_TRADE: "aggTrades",
    Channel.CANDLE: "klines",
}
SYMBOL: Final = re.compile(r"[\w-]{1,64}")
"""What may stand in a path; some symbols are Chinese words."""

_ID: Final = r"(\d{1,19})"
_ID_OR_NONE: Final = r"(-1|\d{1,19})"
_NUMBER: Final = r"(-?\d{1,40}(?:\.\d{1,40})?(?:[eE][-+]?\d{1,3})?)"
_TIME: Final = r"(\d{1,16})"
_TRUTH: Final = r"(true|false)"
_ANY: Final = r"[^,]{0,40}"


def _row(*columns: str, more: str = "") -> re.Pattern[str]:
    return re.compile(",".join(columns) + more, re.ASCII | re.IGNORECASE)


# The last column (isBestMatch) is spot's alone; klines end with one that means nothing.
_RAW_TRADE: Final = _row(_ID, _NUMBER, _NUMBER, _NUMBER, _TIME, _TRUTH, more=rf"(?:,{_ANY})?")
_AGGREGATE: Final = _row(
    _ID, _NUMBER, _NUMBER, _ID_OR_NONE, _ID_OR_NONE, _TIME, _TRUTH, more=rf"(?:,{_ANY})?"
)
_KLINE: Final = _row(_TIME, *(_NUMBER,) * 5, _TIME, _NUMBER, _ID, _NUMBER, _NUMBER, more=rf"(?:,{_ANY})?")
_HEADER: Final = re.compile(r"[a-z_ ]+(,[a-z_ ]+)+", re.ASCII | re.IGNORECASE)

MICROSECONDS_FROM: Final = 10**14
"""Milliseconds reach it in the year 5138, microseconds did in 1973."""
MOST_ID: Final = 2**63 - 1


class BinanceArchive:
    """Implements ``exchanges.archive.Archive`` for one product; stateless."""

    url = URL

    def __init__(self, root: str) -> None:
        self._root = root

    def files(self, symbol: str, channel: Channel, day: date) -> Sequence[ArchiveFile]:
        """The day's file, then the month's."""
        kind = KINDS.get(channel)
        if kind is None or SYMBOL.fullmatch(symbol) is None:
            return ()
        return tuple(
            _file(f"{self._root}/{period}/{kind}", symbol, channel, name)
            for period, name in (("daily", day.isoformat()), ("monthly", f"{day:%Y-%m}"))
        )

    def is_header(self, line: str) -> bool:
        return _HEADER.fullmatch(line) is not None

    def sequence(self, line: str) -> int:
        text = line.partition(",")[0]
        if not (text.isascii() and text.isdigit() and len(text) <= 19):
            raise ProtocolViolation(f"no number of a trade: {text[:40]!r}")
        return int(text)

    @rest.reading
    def trade(self, line: str, symbol: str, channel: Channel, receive_time: int) -> Trade:
        if channel is Channel.TRADE:
            number, price, quantity, _, time, maker = _columns(_RAW_TRADE, line)
            raw = wire.RawTradeRow(
                _id(number), Decimal(price), Decimal(quantity), _milliseconds(time), _is_true(maker)
            )
            return records.raw_trade(raw, symbol, receive_time)
        number, price, quantity, first, last, time, maker = _columns(_AGGREGATE, line)
        row = wire.AggregateRow(
            _id(number),
            Decimal(price),
            Decimal(quantity),
            _id(first),
            _id(last),
            _milliseconds(time),
            _is_true(maker),
        )
        return records.aggregate_trade(row, symbol, receive_time)

    @rest.reading
    def candle(self, line: str, symbol: str, receive_time: int) -> Candle:
        start, *prices, end, quote_volume, count, taker, taker_quote = _columns(_KLINE, line)
        opening, high, low, close, volume = map(Decimal, prices)
        row = rest.KlineRow(
            _milliseconds(start),
            opening,
            high,
            low,
            close,
            volume,
            _milliseconds(end),
            Decimal(quote_volume),
            _id(count),
            Decimal(taker),
            Decimal(taker_quote),
        )
        return rest.candle_of(row, symbol, receive_time)


def _file(folder: str, symbol: str, channel: Channel, name: str) -> ArchiveFile:
    if channel is Channel.CANDLE:
        path = f"{folder}/{symbol}/{records.INTERVAL}/{symbol}-{records.INTERVAL}-{name}.zip"
    else:
        path = f"{folder}/{symbol}/{symbol}-{KINDS[channel]}-{name}.zip"
    return ArchiveFile(path, f"{path}.CHECKSUM", channel)


def _columns(pattern: re.Pattern[str], line: str) -> tuple[str, ...]:
    found = pattern.fullmatch(line)
    if found is None:
        raise ProtocolViolation(f"no such row: {line[:120]!r}")
    return found.groups()


def _id(text: str) -> int:
    number = int(text)
    if number > MOST_ID:
        raise ProtocolViolation(f"{text} is no id")
    return number


def _milliseconds(text: str) -> int:
    time = int(text)
    return time // records.MILLISECOND if time >= MICROSECONDS_FROM else time


def _is_true(text: str) -> bool:
    return text.lower() == "true"

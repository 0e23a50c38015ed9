"""Binance's archive of daily files: zipped CSV and its checksum, made from what was printed."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from typing import NamedTuple

from streamers.simulator.binance_trades import turnover
from streamers.simulator.listing import BINANCE_SPOT
from streamers.simulator.source import Source
from streamers.simulator.tape import Print, Row

PREFIX = "/archive/data/"
FRESH_SECONDS = 10.0
"""So long a file stays as it is, so that file and checksum agree though today's goes on growing."""
KEPT_FILES = 16
DAY_MS = 24 * 60 * 60_000
MINUTE_MS = 60_000
_PATH = re.compile(
    r"(?P<market>spot|futures/um)/daily/(?P<kind>aggTrades|trades|klines)/(?P<symbol>[^/]+)/(?:(?P<interval>1m)/)?"
    r"(?P<file>[^/]+)-(?P<day>\d{4}-\d\d-\d\d)\.zip(?P<checksum>\.CHECKSUM)?"
)
HEADERS = {
    "trades": "id,price,qty,quote_qty,time,is_buyer_maker",
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    "klines": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
}
"""First rows, as newer USD-M files have them; spot's have none."""


class Wanted(NamedTuple):
    """One file of the archive."""

    kind: str
    symbol: str
    day: str
    """2026-11-22"""
    checksum: bool

    @property
    def name(self) -> str:
        """Without its ending."""
        return f"{self.symbol}-{'1m' if self.kind == 'klines' else self.kind}-{self.day}"


class Archive:
    """The files of one exchange."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.spot = source.exchange == BINANCE_SPOT
        self._kept: dict[str, tuple[float, bytes]] = {}

    def answer(self, path: str, now: float) -> bytes | None:
        """A file or a checksum; None where there is none. Made from a snapshot: any thread may ask."""
        wanted = self._wanted(path)
        if wanted is None:
            return None
        made, data = self._kept.get(wanted.name, (0.0, b""))
        if not data or now - made > FRESH_SECONDS:
            data = self._make(wanted)
            if not data:
                return None
            self._keep(wanted.name, now, data)
        if wanted.checksum:
            return f"{hashlib.sha256(data).hexdigest()}  {wanted.name}.zip\n".encode()
        return data

    def _wanted(self, path: str) -> Wanted | None:
        found = _PATH.fullmatch(path.removeprefix(PREFIX))
        if found is None or (found["market"] == "spot") is not self.spot:
            return None
        wanted = Wanted(found["kind"], found["symbol"], found["day"], bool(found["checksum"]))
        named = f"{found['file']}-{found['day']}" == wanted.name
        placed = (found["interval"] is not None) is (wanted.kind == "klines")
        return wanted if named and placed and wanted.symbol in self.source.instruments() else None

    def _keep(self, name: str, now: float, data: bytes) -> None:
        self._kept[name] = (now, data)
        while len(self._kept) > KEPT_FILES:
            del self._kept[min(self._kept, key=lambda one: self._kept[one][0])]

    def _make(self, wanted: Wanted) -> bytes:
        """The zip; empty where the day holds nothing."""
        try:
            begin = int(datetime.fromisoformat(wanted.day).replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            return b""
        rows = list(self._rows(wanted, begin))
        if not rows:
            return b""
        text = io.StringIO()
        if not self.spot:
            text.write(HEADERS[wanted.kind] + "\n")
        csv.writer(text, lineterminator="\n").writerows(rows)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"{wanted.name}.csv", text.getvalue())
        return packed.getvalue()

    def _rows(self, wanted: Wanted, begin: int) -> Iterator[list[object]]:
        if wanted.kind == "klines":
            yield from self._candles(wanted.symbol, begin)
            return
        channel = "trade" if wanted.kind == "trades" else "aggregate_trade"
        log = self.source.tape.log(wanted.symbol, channel)
        prints = takewhile(lambda one: one.time < begin + DAY_MS, log.ascending(time=begin))
        yield from (self._trades if wanted.kind == "trades" else self._aggregates)(prints)

    def _trades(self, prints: Iterable[Print]) -> Iterator[list[object]]:
        for one in prints:
            paid = turnover(one, spot=self.spot)
            yield [one.sequence, one.price, one.quantity, paid, self._time(one.time), *self._flags(one)]

    def _aggregates(self, prints: Iterable[Print]) -> Iterator[list[object]]:
        for one in prints:
            ids = (one.first_id, one.last_id)
            yield [one.sequence, one.price, one.quantity, *ids, self._time(one.time), *self._flags(one)]

    def _candles(self, symbol: str, begin: int) -> Iterator[list[object]]:
        """Closed minutes only; the running one would move under our hands."""
        shown = self.source.shown // 1000
        last = begin + DAY_MS - MINUTE_MS
        past = self.source.past(symbol, begin, last, DAY_MS // MINUTE_MS, newest=False)
        for row in past + list(self.source.tape.rows.get(symbol, {}).values()):
            if begin <= row.open_time < begin + DAY_MS and row.open_time + MINUTE_MS <= shown:
                yield self._candle(row)

    def _candle(self, row: Row) -> list[object]:
        closes = self._time(row.open_time + MINUTE_MS) - 1
        prices = (row.open, row.high, row.low, row.close, row.volume)
        taker = (row.taker_volume, row.taker_quote_volume)
        return [self._time(row.open_time), *prices, closes, row.quote_volume, row.trades, *taker, 0]

    def _flags(self, one: Print) -> list[str]:
        """Buyer is maker; spot adds best match. The products write them differently."""
        maker = not one.buy
        return [str(maker), "True"] if self.spot else [str(maker).lower()]

    def _time(self, milliseconds: int) -> int:
        """Spot: microseconds since 2025."""
        return milliseconds * 1000 if self.spot else milliseconds

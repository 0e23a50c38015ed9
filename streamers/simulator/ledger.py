"""The ledger: everything that an exchange printed since somebody listened, written before it is said.

One JSON object a line. Only ``verify`` and the simulator itself (to go on after a restart) read it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from streamers.simulator.shelf import Places, Shelf
from streamers.simulator.tape import Older, Print, Row


class Trade(msgspec.Struct, tag="trade", tag_field="kind", frozen=True, kw_only=True):
    """A print. Decimals are text, times microseconds UTC."""

    symbol: str
    channel: str
    sequence: int
    price: str
    quantity: str
    side: str
    event_time: int
    first_id: int
    last_id: int

    def print(self, text: str = "") -> Print:
        """As it is kept in memory."""
        buy, time = self.side == "buy", self.event_time // 1000
        return Print(self.sequence, self.price, self.quantity, buy, time, self.first_id, self.last_id, text)


class Candle(msgspec.Struct, tag="candle", tag_field="kind", frozen=True, kw_only=True):
    """A closed minute; null where the exchange has no such field."""

    symbol: str
    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int | None
    taker_buy_volume: str | None
    taker_buy_quote_volume: str | None
    first_id: int | None
    last_id: int | None

    def row(self) -> Row:
        """As it is kept in memory."""
        return Row(
            open_time=self.open_time // 1000,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.volume,
            quote_volume=self.quote_volume,
            trades=self.trades,
            taker_volume=self.taker_buy_volume,
            taker_quote_volume=self.taker_buy_quote_volume,
            first_id=self.first_id,
            last_id=self.last_id,
        )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Trade | Candle)
_trade_decoder = msgspec.json.Decoder(Trade)


class Ledger:
    """Append-only. Lines wait until ``flush``, which comes before anything is said."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path it is kept in memory alone (``lines``): for halves joined without a disk."""
        self.path = path
        self.lines: list[bytes] = []
        self.begun: dict[tuple[str, str], int] = {}
        """(symbol, channel) → market time from which on every print is written."""
        self.last: dict[tuple[str, str], int] = {}
        """(symbol, channel) → highest sequence written."""
        self.ended: dict[tuple[str, str], int] = {}
        """(symbol, channel) that was given up → highest sequence written until then."""
        self.turned = False
        """Something began or ended that the state beside the ledger should soon know."""
        self.closed: dict[str, int] = {}
        """Symbol → open time of its newest candle."""
        self.places: dict[tuple[str, str], Places] = {}
        """(symbol, channel) → where its prints are."""
        self._file: int | None = None
        self._end = 0
        """First byte after all that was noted, written or not."""

    def open(self) -> None:
        """Create or continue the file; a last line that a crash tore is cut off: it was never said."""
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        while size and os.pread(self._file, 1, size - 1) != b"\n":
            size -= 1
        os.ftruncate(self._file, size)
        self._end = size

    @property
    def holds_anything(self) -> bool:
        """Was anything ever written?"""
        return self.path is not None and self.path.exists() and self.path.stat().st_size > 0

    def read(self) -> Iterator[Trade | Candle]:
        """What the file holds, noting how far each symbol came."""
        if self.path is None or not self.path.exists():
            return
        with self.path.open("rb") as file:
            offset = 0
            for line in file:
                if not line.endswith(b"\n"):
                    return
                entry = _decoder.decode(line)
                if isinstance(entry, Trade):
                    key = (entry.symbol, entry.channel)
                    self.begun.setdefault(key, entry.event_time)
                    self.last[key] = max(self.last.get(key, entry.sequence), entry.sequence)
                    self._place(key, entry.sequence, entry.event_time // 1000, offset)
                else:
                    self.closed[entry.symbol] = entry.open_time
                offset += len(line)
                yield entry

    def counts(self, symbol: str, channel: str, channels: Sequence[str]) -> bool:
        """After a restart: are minutes counted from this kind of prints? From the one that began first."""
        both = [one for one in channels if (symbol, one) in self.begun]
        return channel == min(both, key=lambda one: self.begun[symbol, one])

    def shelf(self, symbol: str, channel: str, text_of: Callable[[Trade], str]) -> Older:
        """The prints of one instrument and kind that left the memory."""
        return Shelf(self, symbol, channel, text_of)

    def window(self, begin: int, length: int) -> bytes:
        """A piece of what was written."""
        if self._file is None:
            return b"".join(self.lines)[begin : begin + length]
        return os.pread(self._file, length, begin)

    def entry(self, line: bytes) -> Trade:
        """A line of a trade, read."""
        return _trade_decoder.decode(line)

    def begin(self, symbol: str, channel: str, now: int) -> None:
        """From now on every print of this symbol is written."""
        if (symbol, channel) not in self.begun:
            self.begun[symbol, channel] = now
            self.ended.pop((symbol, channel), None)
            self.turned = True

    def end(self, symbol: str, channel: str) -> None:
        """From now on no print of this symbol is written, until it begins again."""
        if self.begun.pop((symbol, channel), None) is not None:
            self.ended[symbol, channel] = self.last.get((symbol, channel), -1)
            self.turned = True

    def trade(self, symbol: str, channel: str, one: Print) -> bool:
        """Note a print, if anybody ever listened; whether it was noted."""
        key = (symbol, channel)
        if key not in self.begun or one.sequence <= self.last.get(key, -1):
            return False
        self.last[key] = one.sequence
        self._place(key, one.sequence, one.time, self._end)
        self._note(
            Trade(
                symbol=symbol,
                channel=channel,
                sequence=one.sequence,
                price=one.price,
                quantity=one.quantity,
                side="buy" if one.buy else "sell",
                event_time=one.time * 1000,
                first_id=one.first_id,
                last_id=one.last_id,
            )
        )
        return True

    def candle(self, symbol: str, row: Row) -> bool:
        """Note a closed minute, if it lies wholly after the moment at which its symbol began."""
        open_time = row.open_time * 1000
        since = min((at for (name, _), at in self.begun.items() if name == symbol), default=None)
        if since is None or open_time < since or open_time <= self.closed.get(symbol, -1):
            return False
        self.closed[symbol] = open_time
        self._note(
            Candle(
                symbol=symbol,
                open_time=open_time,
                open=row.open,
                high=row.high,
                low=row.low,
                close=row.close,
                volume=row.volume,
                quote_volume=row.quote_volume,
                trades=row.trades,
                taker_buy_volume=row.taker_volume,
                taker_buy_quote_volume=row.taker_quote_volume,
                first_id=row.first_id,
                last_id=row.last_id,
            )
        )
        return True

    def flush(self) -> None:
        """Hand everything noted to the operating system: a kill of this process cannot lose it any more.

        All of it or, with an OSError, nothing.
        """
        if self._file is None or not self.lines:
            return
        data, written = memoryview(b"".join(self.lines)), 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            if written:  # a full disk took a part: it will not be said, so it may not stay
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise
        self.lines.clear()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def emitted(self) -> dict[str, int]:
        """Symbol → last sequence; raw trades win where both kinds are written."""
        return {symbol: self.last[symbol, channel] for symbol, channel in sorted(self.last)}

    def _note(self, entry: Trade | Candle) -> None:
        line = _encoder.encode(entry) + b"\n"
        self.lines.append(line)
        self._end += len(line)

    def _place(self, key: tuple[str, str], sequence: int, time: int, offset: int) -> None:
        self.places.setdefault(key, Places()).note(sequence, time, offset)

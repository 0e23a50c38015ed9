"""A recorded session as a market: frames at their own moments, REST from what was already said."""

from __future__ import annotations

import heapq
from typing import Any

import msgspec

from streamers.simulator.candles import Minute
from streamers.simulator.capture import Recorded, Session, split
from streamers.simulator.derived import derive_instruments
from streamers.simulator.figures import units
from streamers.simulator.hub import Hub
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import DERIBIT, MINUTE, SECOND, Listing
from streamers.simulator.source import Quote
from streamers.simulator.tape import Print, Row, Tape

PATIENCE_SECONDS = 10
"""Real seconds after the first subscription; then the session begins without those still missing."""
AT_ONCE = 5_000
"""Most frames in one go, so that sockets can keep up with a session that is late."""
KEPT_PRINTS = 200_000
"""A session has an end: its prints stay in memory."""
TRADE_KINDS = {"trade": "trade", "aggTrade": "aggregate_trade", "trades": "trade"}
EIGHT = Listing(
    symbol="", base="", quote="", price_decimals=8, quantity_decimals=8, price=0.0, orders_per_second=0.0
)


class Replay:
    """One or more recorded sessions of one exchange, merged by time of receipt."""

    def __init__(
        self, exchange: str, sessions: list[Session], hub: Hub, ledger: Ledger, speed: float = 1.0
    ) -> None:
        self.exchange = exchange
        self.hub = hub
        self.ledger = ledger
        self.tape = Tape(kept=KEPT_PRINTS)
        self.now = 0
        self._frames = list(heapq.merge(*(session.frames for session in sessions), key=_time))
        self._next = 0
        self._patience = round(PATIENCE_SECONDS * SECOND * speed)
        self._first_heard: int | None = None
        self._awaited = self._gate()
        symbols = {symbol for frame in self._frames if (symbol := split(exchange, frame.stream)[0])}
        recorded = [one for session in sessions for one in session.instruments]
        self._objects = derive_instruments(exchange, sorted(symbols), recorded, self._frames)
        self._last: dict[tuple[str, str], str] = {}
        self._running: dict[str, Row] = {}
        self._begin = self._frames[0].time if self._frames else 0

    @property
    def shown(self) -> int:
        return self.now

    @property
    def finished(self) -> bool:
        return self._next >= len(self._frames)

    @property
    def begun(self) -> bool:
        """The gate is open: every stream with trades has a hearer, or patience ended."""
        if self._first_heard is None:
            return False
        return not self._awaited or self.now - self._first_heard > self._patience

    def run(self, now: int) -> None:
        """Say every frame whose moment has come."""
        self.now = now
        for stream in self.hub.news():
            self._heard(stream, now)
        for stream in self.hub.given_up():
            self._abandoned(stream)
        if not self.begun:
            return
        last = min(self._next + AT_ONCE, len(self._frames))
        while self._next < last and self._frames[self._next].time <= now:
            self._say(self._frames[self._next])
            self._next += 1

    def memory(self) -> dict[str, Any]:
        """Nothing: a replay that is started again begins again, and the ledger knows what it holds."""
        return {}

    def instruments(self) -> dict[str, dict[str, Any]]:
        return self._objects

    def rows(self, symbol: str) -> list[Row]:
        """Recorded closed candles, minutes counted from the session's trades, and the last running candle."""
        rows = {row.open_time: row for row in self._counted(symbol)}
        rows |= self.tape.rows.get(symbol, {})
        running = self._running.get(symbol)
        if running is not None:
            rows.setdefault(running.open_time, running)
        return [rows[open_time] for open_time in sorted(rows)]

    def past(self, symbol: str, since: int, until: int, most: int, *, newest: bool) -> list[Row]:
        """Nothing is known from before a recorded session."""
        _ = symbol, since, until, most, newest
        return []

    def quote(self, symbol: str) -> Quote | None:
        """From the last quote (or ticker) that was said."""
        text = self._last.get((symbol, "bookTicker")) or self._last.get((symbol, "ticker"))
        if text is None:
            return None
        read = msgspec.json.decode(text)
        if self.exchange == DERIBIT:
            figures = [
                str(read.get(f"best_{name}"))
                for name in ("bid_price", "bid_amount", "ask_price", "ask_amount")
            ]
            return Quote(figures[0], figures[1], figures[2], figures[3], 0, read.get("timestamp", 0))
        return Quote(
            read["b"], read["B"], read["a"], read["A"], read.get("u", 0), read.get("E", self.now // 1000)
        )

    def tell(self, name: str, what: str) -> Any:
        return self._last.get((name, "ticker")) if what == "ticker" and self.exchange == DERIBIT else None

    # --- inside -----------------------------------------------------------------------------------------

    def _gate(self) -> set[str]:
        """Streams that must be heard before the first frame is said: those with trades, else all."""
        streams = {frame.stream for frame in self._frames}
        with_trades = {stream for stream in streams if split(self.exchange, stream)[1] in TRADE_KINDS}
        if not with_trades:
            with_trades = {
                stream for stream in streams if split(self.exchange, stream)[1] in ("ticker", "quote")
            }
        return {self._plain(stream) for stream in with_trades}

    def _plain(self, stream: str) -> str:
        """Deribit's names without their interval: whichever was recorded answers whichever is asked."""
        if self.exchange != DERIBIT:
            return stream
        head, _, interval = stream.rpartition(".")
        return head if interval in ("raw", "100ms", "agg2") else stream

    def _heard(self, stream: str, now: int) -> None:
        if self._first_heard is None:
            self._first_heard = now
        self._awaited.discard(self._plain(stream))
        symbol, kind = split(self.exchange, stream)
        if kind in TRADE_KINDS:
            channel = TRADE_KINDS[kind]
            self.ledger.begin(symbol, channel, now if (symbol, channel) in self.ledger.ended else 0)

    def _abandoned(self, stream: str) -> None:
        symbol, kind = split(self.exchange, stream)
        if kind in TRADE_KINDS and not any(map(self.hub.wanted, self._names(stream))):
            self.ledger.end(symbol, TRADE_KINDS[kind])

    def _say(self, frame: Recorded) -> None:
        symbol, kind = split(self.exchange, frame.stream)
        if kind in TRADE_KINDS:
            for one in _prints(frame.data, kind):
                log = self.tape.log(symbol, TRADE_KINDS[kind])
                if log.last is None or one.sequence > log.last.sequence:
                    log.append(one)
                self.ledger.trade(symbol, TRADE_KINDS[kind], one)
        elif kind == "kline_1m":
            self._candle(symbol, frame.data)
        else:
            self._last[symbol, kind] = frame.data
        for stream in self._names(frame.stream):
            if self.hub.wanted(stream):
                self.hub.say(stream, frame.data, prints=kind in TRADE_KINDS)

    def _names(self, stream: str) -> list[str]:
        head = self._plain(stream)
        return [stream] if head == stream else [f"{head}.{interval}" for interval in ("raw", "100ms", "agg2")]

    def _candle(self, symbol: str, data: str) -> None:
        k = msgspec.json.decode(data)["k"]
        row = Row(
            k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["q"], k["n"], k["V"], k["Q"], k["f"], k["L"]
        )
        if k["x"]:
            self.tape.close(symbol, row)
            self.ledger.candle(symbol, row)
        else:
            self._running[symbol] = row

    def _counted(self, symbol: str) -> list[Row]:
        """Whole minutes of the session, from its own trades."""
        log = self.tape.log(symbol, "trade")
        if not len(log):
            log = self.tape.log(symbol, "aggregate_trade")
        first = -(-self._begin // MINUTE) * MINUTE
        minutes: dict[int, Minute] = {}
        for one in log.ascending():
            open_time = one.time * 1000 // MINUTE * MINUTE
            if first <= open_time and open_time + MINUTE <= self.now:
                price = units(one.price, 8)
                minute = minutes.setdefault(open_time, Minute(open_time, price))
                minute.count(
                    price, units(one.quantity, 8), buy=one.buy, first_id=one.first_id, last_id=one.last_id
                )
        return [minute.binance_row(EIGHT) for minute in minutes.values()]


def _prints(data: str, kind: str) -> list[Print]:
    if kind == "trades":
        return [
            _deribit_print(bytes(raw).decode()) for raw in msgspec.json.decode(data, type=list[msgspec.Raw])
        ]
    read = msgspec.json.decode(data)
    sequence = read["t"] if kind == "trade" else read["a"]
    first, last = (sequence, sequence) if kind == "trade" else (read["f"], read["l"])
    return [Print(sequence, read["p"], read["q"], not read["m"], read["T"], first, last)]


class _DeribitTrade(msgspec.Struct):
    trade_seq: int
    price: msgspec.Raw
    amount: msgspec.Raw
    direction: str
    timestamp: int


def _deribit_print(text: str) -> Print:
    read = msgspec.json.decode(text, type=_DeribitTrade)
    price, amount = bytes(read.price).decode(), bytes(read.amount).decode()
    sequence = read.trade_seq
    return Print(sequence, price, amount, read.direction == "buy", read.timestamp, sequence, sequence, text)


def _time(frame: Recorded) -> int:
    return frame.time

"""An exchange that does not exist, written as ``docs/add-an-exchange.md`` says: all its knowledge is here.

Facts. One WebSocket, ``/feed``. The client says ``{"subscribe": [names]}`` or ``{"unsubscribe": [names]}``
with at most 50 names, four times a second; the server answers ``{"ack": [names]}`` or
``{"refused": [names]}``, which proves nothing else. Every 5 seconds it says ``{"say": "beat"}``, and
``{"say": "beat", "id": 7}`` must be answered with ``{"beat": 7}``. Before it goes it says
``{"say": "shutdown"}`` or ``{"say": "maintenance"}``; REST answers 503 then. It cuts a connection after
an hour. ``q`` counts the trades of a symbol without a hole. Times are milliseconds; prices and quantities
are text, the quantity is in base currency; ``s`` is the taker's side.

| channel   | subscribe name | ticks at least every  | first data proves | repaired by             |
|-----------|----------------|-----------------------|-------------------|-------------------------|
| trade     | AAA.trade      | market decides; REST  | ``q`` goes on     | /trades by first, last  |
| candle    | AAA.candle     | market decides; REST  | the minute runs   | /candles by start, end  |
| quote     | AAA.quote      | market decides        | nothing           | nothing                 |
| platform  | status         | never                 | nothing           | /status                 |

REST: ``/instruments``, ``/trades?symbol&first&last`` (at most 100, ascending; ``first=last`` for the newest),
``/first?symbol&since&until`` (the first trade made in [since, until), at most a day of milliseconds),
``/candles?symbol&start&end`` (at most 100), ``/status``, ``/time``; 600 requests a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from trade_platform.domain.model import (
    DAY,
    MINUTE,
    Candle,
    Channel,
    ExchangeState,
    ExchangeStatus,
    Instrument,
    InstrumentKind,
    InstrumentState,
    Metric,
    Number,
    Side,
    Trade,
)
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.archive import Archive
from trade_platform.exchanges.evidence import Look, Watch
from trade_platform.exchanges.limits import CONNECTIONS, WEIGHT, Limit
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.pacing import Pace
from trade_platform.exchanges.page import Page, page_of
from trade_platform.exchanges.session import (
    ConnectionPlan,
    Missing,
    Output,
    ProtocolViolation,
    Reason,
    Reconnect,
    Request,
    RestError,
    Search,
    Send,
    Session,
)
from trade_platform.exchanges.silence import Silence
from trade_platform.exchanges.tally import Tally

T = TypeVar("T")

PAGE: Final = 100
NAMES_A_MESSAGE: Final = 50
MESSAGE_SECONDS: Final = 0.25
ANSWER_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 20.0
"""Four beats."""
DEADLINES: Final = {Channel.TRADE: 60.0, Channel.CANDLE: 90.0}
MILLISECOND: Final = 1000
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, ArithmeticError)

# --- wire: what the exchange writes, with the limits of what can be stored ---

Id: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Milliseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]


class TradeRow(
    msgspec.Struct, rename={"sequence": "q", "price": "p", "quantity": "n", "time": "t", "side": "s"}
):
    """On the wire and by REST."""

    sequence: Id
    price: Decimal
    quantity: Decimal
    time: Milliseconds
    side: Side = Side.BUY


class CandleRow(
    msgspec.Struct,
    rename={
        "time": "t", "open": "o", "high": "h", "low": "l", "close": "k", "volume": "n", "cost": "v",
        "trades": "m",
    },
):  # fmt: skip
    time: Milliseconds
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    cost: Decimal
    trades: Id


class QuoteRow(msgspec.Struct, rename={"bid": "b", "time": "t"}):
    bid: Decimal
    time: Milliseconds


class Frame(msgspec.Struct):
    """Every text of the server."""

    c: str = ""
    say: str = ""
    ack: list[str] = []
    refused: list[str] = []
    id: int | None = None
    symbol: str = ""


_frame = msgspec.json.Decoder(Frame).decode
_trade = msgspec.json.Decoder(TradeRow).decode
_candle = msgspec.json.Decoder(CandleRow).decode
_quote = msgspec.json.Decoder(QuoteRow).decode
_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_names = msgspec.json.Decoder(list[Annotated[str, msgspec.Meta(min_length=1, max_length=64)]]).decode
_time = msgspec.json.Decoder(Milliseconds).decode
_status = msgspec.json.Decoder(str).decode


def number(value: Decimal) -> Decimal:
    """A Decimal may say NaN or 1E+999999; a market does not."""
    if not value.is_finite() or not -40 <= value.adjusted() <= 40 or value < 0:
        raise ProtocolViolation(f"{str(value)[:40]} is no number of a market")
    return value


def trade_of(row: TradeRow, symbol: str, receive_time: int) -> Trade:
    """``side`` is the taker's already."""
    price, quantity, time = number(row.price), number(row.quantity), row.time * MILLISECOND
    return Trade(
        symbol, row.sequence, price, quantity, row.side, time, receive_time, row.sequence, row.sequence
    )


def candle_of(row: CandleRow, symbol: str, receive_time: int) -> Candle:
    """It never says that a minute is over: our time decides."""
    start = row.time * MILLISECOND
    return Candle(
        symbol=symbol,
        interval="1m",
        open_time=start,
        open=number(row.open),
        high=number(row.high),
        low=number(row.low),
        close=number(row.close),
        volume=number(row.volume),
        quote_volume=number(row.cost),
        trades=row.trades,
        taker_buy_volume=None,
        taker_buy_quote_volume=None,
        first_id=None,
        last_id=None,
        closed=start + MINUTE <= receive_time,
        event_time=start,
        receive_time=receive_time,
    )


def name_of(wanted: Wanted) -> str:
    """The exchange's own name of a channel."""
    return f"{wanted.symbol}.{wanted.channel}" if wanted.symbol else "status"


# --- session: text and time in, outputs out ---


class FictionalSession:
    """Implements ``exchanges.session.Session`` and, for its silences, ``exchanges.silence.Witness``."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self._tally = Tally()
        self.ignored: dict[str, int] = self._tally
        self._held: dict[str, Subscription] = {}
        self.subscriptions: Mapping[str, Subscription] = self._held
        self._last: dict[str, int] = {}
        self._joining: dict[str, None] = {}
        self._leaving: dict[str, None] = {}
        self._unanswered: dict[str, float] = {}
        self._free_at = self._heard_at = 0.0
        self._frames = self._frames_noted = 0
        self._market_time = 0
        self._open = False
        self._silence = Silence(self, Pace(weight_per_second=1.0, burst=10.0))
        self._add(wanted)

    @property
    def live(self) -> bool:
        return self._open and all(one.live for one in self._held.values())

    def opened(self, now: float) -> Sequence[Output]:
        self._open, self._heard_at = True, now
        return self._speak(now)

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[Output]:
        self._frames += 1
        self._market_time = receive_time
        try:
            frame = _frame(text)
            subscription = self._held.get(frame.c)
            if subscription is not None and not frame.say:
                return self._data(text, subscription, receive_time)
            return self._said(frame, receive_time)
        except UNREADABLE as error:
            raise ProtocolViolation(f"not of this protocol ({error}): {text[:60]!r}") from error

    def due(self, now: float) -> Sequence[Output]:
        if self._frames != self._frames_noted:
            self._frames_noted, self._heard_at = self._frames, now
        if now - self._heard_at > SILENT_SECONDS:
            return [Reconnect(Reason.SESSION_SILENT, "no beat")]
        if any(now - at > ANSWER_SECONDS for at in self._unanswered.values()):
            return [Reconnect(Reason.NEVER_DELIVERED, "a subscription was not answered")]
        return [*self._speak(now), *self._silence.judge(self._held, self._market_time, now)]

    def change(self, wanted: Sequence[Wanted], now: float) -> Sequence[Output]:
        kept = {name_of(one) for one in wanted}
        for name in [name for name in self._held if name not in kept]:
            gone = self._held.pop(name)
            self._silence.forget(name)
            self._unanswered.pop(name, None)
            if gone.wanted.channel is Channel.TRADE:  # what passes meanwhile was not asked for
                self._last.pop(gone.wanted.symbol, None)
            if name in self._joining:
                del self._joining[name]
            else:
                self._leaving[name] = None
        self._add([one for one in wanted if name_of(one) not in self._held])
        return self._speak(now) if self._open else ()

    def expect(self, sequences: Mapping[str, int]) -> None:
        for symbol, sequence in sequences.items():
            self._last[symbol] = max(sequence, self._last.get(symbol, sequence))

    def _add(self, wanted: Iterable[Wanted]) -> None:
        for one in wanted:
            name = name_of(one)
            self._held[name] = Subscription(name=name, wanted=one, deadline_seconds=self._deadline(one))
            self._leaving.pop(name, None)
            self._joining[name] = None

    def _deadline(self, wanted: Wanted) -> float | None:
        return DEADLINES.get(wanted.channel)

    def _speak(self, now: float) -> Sequence[Output]:
        """The next message, if there is one and the exchange wants to hear it yet."""
        if now < self._free_at or not (self._leaving or self._joining):
            return ()
        self._free_at = now + MESSAGE_SECONDS
        verb, queue = ("unsubscribe", self._leaving) if self._leaving else ("subscribe", self._joining)
        names = list(queue)[:NAMES_A_MESSAGE]
        for name in names:
            del queue[name]
            if verb == "subscribe":
                self._held[name].requested(now)
                self._unanswered[name] = now
        return [Send(msgspec.json.encode({verb: names}).decode())]

    def _said(self, frame: Frame, receive_time: int) -> Sequence[Output]:
        for name in (*frame.ack, *frame.refused):
            self._unanswered.pop(name, None)
        for name in frame.ack:
            if name in self._held:
                self._held[name].acknowledged = True
        if any(name in self._held for name in frame.refused):
            return [Reconnect(Reason.SUBSCRIBE_REFUSED, ", ".join(frame.refused[:3]))]
        if frame.say in ENDINGS:
            status, reason = ENDINGS[frame.say]
            return [ExchangeState(status, "", frame.say, receive_time, receive_time), Reconnect(reason)]
        if frame.say == "listed":
            return [InstrumentState(frame.symbol, "listed", receive_time, receive_time)]
        if frame.say == "beat":
            return [] if frame.id is None else [Send(msgspec.json.encode({"beat": frame.id}).decode())]
        if not (frame.ack or frame.refused):
            self._tally.note(frame.say or f"{frame.c.rpartition('.')[2]} (not subscribed)")
        return ()

    def _data(self, text: str | bytes, subscription: Subscription, receive_time: int) -> Sequence[Output]:
        symbol, channel = subscription.wanted.symbol, subscription.wanted.channel
        if channel is Channel.QUOTE:
            quote = _quote(text)
            at, bid = quote.time * MILLISECOND, number(quote.bid)
            outputs: list[Output] = [Number(symbol, Metric.BEST_BID, bid, at, receive_time, channel)]
        elif channel is Channel.CANDLE:
            subscription.newest = candle_of(_candle(text), symbol, receive_time)
            outputs = [subscription.newest]
        else:
            outputs = self._traded(trade_of(_trade(text), symbol, receive_time))
        subscription.messages += 1
        return outputs

    def _traded(self, trade: Trade) -> list[Output]:
        last = self._last.get(trade.symbol)
        self._last[trade.symbol] = max(trade.sequence, last or 0)
        if last is not None and trade.sequence > last + 1:
            return [Missing(trade.symbol, Channel.TRADE, last + 1, trade.sequence - 1), trade]
        return [trade]

    # What its silences mean

    def watch(self, subscription: Subscription) -> Watch | None:
        look = LOOKS.get(subscription.wanted.channel)
        return None if look is None else Watch(look)

    def held(self, subscription: Subscription) -> object:
        if subscription.wanted.channel is Channel.TRADE:
            return self._last.get(subscription.wanted.symbol)
        newest: Candle | None = subscription.newest
        return None if newest is None else (newest.open_time, newest.trades)

    def stood(self, subscription: Subscription, mark: int) -> Sequence[Output]:
        symbol, channel = subscription.wanted.symbol, subscription.wanted.channel
        if channel is not Channel.TRADE:
            return ()
        last = self._last.get(symbol, mark)
        self._last[symbol] = max(mark, last)
        return (Missing(symbol, channel, last + 1, mark),) if mark > last else ()

    def traded(self, subscription: Subscription) -> int:
        return self._last.get(subscription.wanted.symbol, 0)

    def is_gone(self, sentence: str) -> bool:
        return sentence.startswith("404")

    def gone(self, subscription: Subscription) -> None:
        subscription.deadline_seconds = None


ENDINGS: Final = {
    "shutdown": (ExchangeStatus.SHUTDOWN, Reason.SHUTDOWN),
    "maintenance": (ExchangeStatus.MAINTENANCE, Reason.MAINTENANCE),
}


STATES: Final = {"open": ExchangeStatus.OPEN, "locked": ExchangeStatus.LOCKED}


# --- REST: requests as values, and what their answers mean ---


def reading(parse: Callable[[], T]) -> T:
    """Whatever decoding raises becomes the one error for it."""
    try:
        return parse()
    except UNREADABLE as error:
        raise ProtocolViolation(f"an answer that cannot be read: {error}"[:300]) from error


def trades_of(body: bytes, symbol: str, receive_time: int) -> Page[Trade]:
    rows = reading(lambda: _rows(body))
    return page_of(rows, lambda row: trade_of(_trade(row), symbol, receive_time), UNREADABLE)


def candles_of(body: bytes, symbol: str, receive_time: int) -> Page[Candle]:
    rows = reading(lambda: _rows(body))
    return page_of(rows, lambda row: candle_of(_candle(row), symbol, receive_time), UNREADABLE)


def newest_trade(symbol: str, market_time: int = 0) -> Request:
    return Request(path="/trades", query={"symbol": symbol, "first": "last", "last": "last"})


def last_minutes(symbol: str, market_time: int) -> Request:
    start = market_time // MINUTE * MINUTE - MINUTE
    return Request(path="/candles", query={"symbol": symbol, "start": start, "end": start + 2 * MINUTE})


LOOKS: Final = {
    Channel.TRADE: Look(
        newest_trade, lambda body: max((one.sequence for one in trades_of(body, "", 0)), default=None)
    ),
    Channel.CANDLE: Look(
        last_minutes,
        lambda body: max(((one.open_time, one.trades) for one in candles_of(body, "", 0)), default=None),
    ),
}


class Fictional:
    """Implements ``exchanges.session.Exchange``."""

    key = "fictional"
    websocket_url = "wss://fictional.invalid"
    rest_url = "https://fictional.invalid"
    channels = frozenset({Channel.TRADE, Channel.CANDLE, Channel.QUOTE})
    exchange_channels = frozenset({Channel.PLATFORM})
    maximum_age_seconds: float | None = 3000.0
    limits: Sequence[Limit] = (Limit(WEIGHT, 600, 60), Limit(CONNECTIONS, 60, 60))
    archive: Archive | None = None
    symbols_per_connection = 20

    def plan(self, wanted: Iterable[Wanted], previous: Sequence[ConnectionPlan] = ()) -> list[ConnectionPlan]:
        """By symbol; what is for the whole exchange counts as one."""
        by_symbol: dict[str, list[Wanted]] = {}
        for one in dict.fromkeys(wanted):
            if one.channel in (self.channels if one.symbol else self.exchange_channels):
                by_symbol.setdefault(one.symbol, []).append(one)
        seats = {
            plan.name: [s for s in dict.fromkeys(one.symbol for one in plan.wanted) if s in by_symbol]
            for plan in previous
        }
        seated = {symbol for symbols in seats.values() for symbol in symbols}
        for symbol in sorted(by_symbol.keys() - seated):
            room = (name for name, symbols in seats.items() if len(symbols) < self.symbols_per_connection)
            free = (name for n in count() if (name := f"market-{n}") not in seats)
            seats.setdefault(next(room, "") or next(free), []).append(symbol)
        return [
            ConnectionPlan(name=name, path="/feed", wanted=tuple(w for s in symbols for w in by_symbol[s]))
            for name, symbols in seats.items()
            if symbols
        ]

    def session(self, plan: ConnectionPlan, *, quote_interval: int = 0) -> Session:
        return FictionalSession(plan.wanted)

    def trade_channel(self, channels: Iterable[Channel]) -> Channel | None:
        return Channel.TRADE if Channel.TRADE in channels else None

    def instruments_requests(self) -> list[Request]:
        return [Request(path="/instruments")]

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        return [Instrument(symbol=name, kind=InstrumentKind.SPOT) for name in reading(lambda: _names(body))]

    def trades_request(self, symbol: str, channel: Channel, first: int, last: int) -> Request:
        return Request(path="/trades", query={"symbol": symbol, "first": first, "last": last})

    def last_trade_request(self, symbol: str, channel: Channel) -> Request:
        return newest_trade(symbol)

    def parse_trades(self, body: bytes, symbol: str, channel: Channel, receive_time: int) -> Page[Trade]:
        return trades_of(body, symbol, receive_time)

    def first_trade_search(self, symbol: str, channel: Channel, since: int, until: int) -> Search:
        until = min(until, since + DAY)
        low, high = -(-since // MILLISECOND), -(-until // MILLISECOND)
        query: dict[str, str | int] = {"symbol": symbol, "since": low, "until": high}
        return Search(Request(path="/first", query=query), until)

    def parse_first_trade(self, body: bytes, channel: Channel) -> int | None:
        return min((one.sequence for one in trades_of(body, "", 0)), default=None)

    def candles_request(self, symbol: str, start: int, end: int) -> Request:
        return Request(path="/candles", query={"symbol": symbol, "start": start, "end": end})

    def parse_candles(self, body: bytes, symbol: str, receive_time: int) -> Page[Candle]:
        return candles_of(body, symbol, receive_time)

    def time_request(self) -> Request:
        return Request(path="/time")

    def parse_time(self, body: bytes) -> int:
        return reading(lambda: _time(body)) * MILLISECOND

    def status_request(self) -> Request:
        return Request(path="/status")

    def occasion(self, market_time: int) -> str:
        return ""

    def parse_status(self, body: bytes, receive_time: int) -> ExchangeState:
        said = reading(lambda: _status(body))
        status = STATES.get(said, ExchangeStatus.MAINTENANCE)
        return ExchangeState(status, "", f"/status {said}"[:100], receive_time, receive_time)

    def error_of(self, status: int, body: bytes) -> RestError | None:
        if status < 400:
            return None
        passing = status >= 500 or status in (408, 429)
        return RestError(status, "refused", retry=passing, maintenance=status == 503)

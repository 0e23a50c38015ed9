"""One conversation with Binance, spot or USD-M: what the product says, done in order and without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from trade_platform.domain.model import ExchangeState, ExchangeStatus
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance import wire
from trade_platform.exchanges.binance.conversation import Conversation
from trade_platform.exchanges.binance.polling import Polling
from trade_platform.exchanges.binance.product import Product
from trade_platform.exchanges.binance.records import INTERVAL, MILLISECOND
from trade_platform.exchanges.binance.routes import Context, Route
from trade_platform.exchanges.binance.silence import BURST, TRADES, WEIGHT_PER_SECOND, BinanceWitness
from trade_platform.exchanges.binance.strays import identify
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.pacing import Pace
from trade_platform.exchanges.session import Output, ProtocolViolation, Reason, Reconnect
from trade_platform.exchanges.silence import Silence
from trade_platform.exchanges.tally import Tally

LARGEST_EVENT: Final = 16_384
"""Of what is parsed; the largest has some 600 characters. So a Decimal cannot outgrow a NUMERIC either."""
LARGEST_TEXT: Final = 8 * 1024 * 1024

_envelope = msgspec.json.Decoder(wire.Envelope).decode
_answer = msgspec.json.Decoder(wire.Answer).decode
_shutdown = msgspec.json.Decoder(wire.Shutdown).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class BinanceSession:
    """Implements ``exchanges.session.Session`` for combined streams with subscription by message."""

    def __init__(self, product: Product, wanted: Sequence[Wanted], *, quote_interval: int = 0) -> None:
        tally = Tally()
        self.subscriptions: Mapping[str, Subscription] = {}
        self.ignored: dict[str, int] = tally
        self._tally = tally
        self._product = product
        self._held: dict[str, Subscription] = self.subscriptions
        self._routes: dict[str, Route] = {}
        self._context = Context(tally, {}, {}, quote_interval)
        self._conversation = Conversation(self._held, tally, product.message_interval_seconds)
        self._polling = Polling(self._held, tally)
        # What has no deadline may be silent for ever.
        told = {one.channel: one.told for one in product.streams.values() if one.deadline_seconds is not None}
        self._witness = BinanceWitness(told, self._context.sequences)
        self._silence = Silence(self._witness, Pace(weight_per_second=WEIGHT_PER_SECOND, burst=BURST))
        self._market_time = 0
        """Of the last text that came: the market's time as far as a session can know it."""
        self._is_open = False
        for one in product.served(wanted):
            self._add(one)

    @property
    def live(self) -> bool:
        return all(one.live for one in self._held.values())

    def opened(self, now: float) -> Sequence[Output]:
        self._is_open = True
        self._ask(self._held, now)
        return self._conversation.speak(now)

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[Output]:
        self._market_time = receive_time
        try:
            envelope = _envelope(text)
            route = self._routes.get(envelope.stream)
            if route is not None and len(text) <= LARGEST_EVENT:
                return route(envelope.data, receive_time)
            return self._receive_other(envelope, text, receive_time)
        except wire.UNREADABLE as error:
            raise ProtocolViolation(f"{error}: {text[:200]!r}"[:400]) from error

    def due(self, now: float) -> Sequence[Output]:
        outputs: list[Output] = []
        for latest in self._context.latest.values():
            outputs += latest.flush(self._market_time, now)
        outputs += self._conversation.speak(now)
        outputs += self._polling.due(self._market_time, now)
        return [*outputs, *self._silence.judge(self._held, self._market_time, now)]

    def change(self, wanted: Sequence[Wanted], now: float) -> Sequence[Output]:
        new = {self._name(one): one for one in self._product.served(wanted)}
        gone = [name for name in self._held if name not in new]
        fresh = [name for name in new if name not in self._held]
        streams = [name for name in gone if name in self._routes]
        for name in gone:
            self._remove(name)
        for name in fresh:
            self._add(new[name])
        if not self._is_open:
            return ()
        self._conversation.unsubscribe(streams)
        self._ask(fresh, now)
        return self._conversation.speak(now)

    def expect(self, sequences: Mapping[str, int]) -> None:
        held = self._context.sequences
        for symbol, sequence in sequences.items():
            held[symbol] = max(sequence, held.get(symbol, sequence))

    # What is subscribed

    def _name(self, wanted: Wanted) -> str:
        return self._product.source(wanted.channel).name(wanted.symbol)

    def _add(self, wanted: Wanted) -> None:
        name = self._name(wanted)
        stream = self._product.streams.get(wanted.channel)
        if stream is None:
            # Nobody acknowledges a poll, and REST's health is not the socket's.
            self._held[name] = Subscription(name=name, wanted=wanted, acknowledged=True)
            return
        subscription = Subscription(name=name, wanted=wanted, deadline_seconds=stream.deadline_seconds)
        self._held[name] = subscription
        self._routes[name] = stream.open(self._context, subscription)

    def _remove(self, name: str) -> None:
        subscription = self._held.pop(name)
        self._routes.pop(name, None)
        self._context.latest.pop(name, None)
        self._polling.forget(name)
        self._silence.forget(name)
        self._witness.forget(name)
        if subscription.wanted.channel in TRADES:
            # What passes while it is not wanted is not missing.
            self._context.sequences.pop(subscription.wanted.symbol, None)

    def _ask(self, names: Iterable[str], now: float) -> None:
        for name in names:
            if name in self._routes:
                self._conversation.subscribe([name])
        polled = {
            name: self._product.polls[self._held[name].wanted.channel]
            for name in names
            if name not in self._routes
        }
        self._polling.begin(polled, now)

    # What came outside of the subscribed streams

    def _receive_other(
        self, envelope: wire.Envelope, text: str | bytes, receive_time: int
    ) -> Sequence[Output]:
        if len(text) > LARGEST_TEXT or envelope.stream in self._routes:
            raise ProtocolViolation(f"{len(text)} characters are more than any message has")
        if envelope.stream:
            return self._events(envelope.data, receive_time, envelope.stream)
        fields = _fields(text)
        if "event" in fields:
            return self._events(fields["event"], receive_time)
        if fields.keys() & {"id", "result", "code", "error"} and "e" not in fields:
            return self._conversation.answer(_answer(text))
        return self._events(msgspec.Raw(text), receive_time)

    def _events(self, data: msgspec.Raw, receive_time: int, stream: str = "") -> Sequence[Output]:
        if bytes(data)[:1] != b"[":
            return self._event(data, receive_time, stream)
        return [output for one in _list(data) for output in self._event(one, receive_time, stream)]

    def _event(self, data: msgspec.Raw, receive_time: int, stream_name: str) -> Sequence[Output]:
        stray = identify(_fields(data), stream_name)
        if stray.event == wire.SHUTDOWN:
            return _shut_down(_shutdown(data).time * MILLISECOND, receive_time)
        stream = self._product.stream_of(stray.event)
        if stream is None:
            self._tally.note(
                stray.event if self._product.ignores(stray.event) else f"{stray.event} (unknown)"
            )
            return ()
        if stray.interval not in (None, INTERVAL):
            self._tally.note(f"{stray.event}_{stray.interval}")
            return ()
        route = self._routes.get(stream.name(stray.symbol))
        if route is None:
            self._tally.note(f"{stray.event} (not subscribed)")
            return ()
        if len(bytes(data)) > LARGEST_EVENT:
            raise ProtocolViolation(f"an event of {len(bytes(data))} bytes")
        return route(data, receive_time)


def _shut_down(event_time: int, receive_time: int) -> Sequence[Output]:
    return (
        ExchangeState(ExchangeStatus.SHUTDOWN, "", wire.SHUTDOWN, event_time, receive_time),
        Reconnect(Reason.SHUTDOWN, wire.SHUTDOWN),
    )

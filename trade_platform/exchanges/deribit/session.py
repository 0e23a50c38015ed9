"""One conversation with Deribit over one WebSocket: JSON-RPC in and out, public channels, no login."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Raw

from trade_platform.domain.model import Channel, ExchangeState, ExchangeStatus
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.amounts import SHORT_TEXT, has_endless_number
from trade_platform.exchanges.deribit import channels, rest, wire
from trade_platform.exchanges.deribit.known import KINDS, Sample
from trade_platform.exchanges.deribit.measures import Numbers
from trade_platform.exchanges.deribit.readers import Reader, Shared, reader_of, unasked
from trade_platform.exchanges.deribit.silence import DeribitSilence
from trade_platform.exchanges.deribit.subscribing import (
    HEARTBEAT_ID,
    SUBSCRIBE,
    TEST_ID,
    Calls,
)
from trade_platform.exchanges.limits import SUBSCRIBE as SUBSCRIBE_LIMIT
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import (
    ConnectionPlan,
    Output,
    ProtocolViolation,
    Reason,
    Reconnect,
    Send,
)
from trade_platform.exchanges.tally import Tally

HEARTBEAT_SECONDS: Final = 10
"""The shortest that the exchange allows."""
SILENT_SECONDS: Final = 2.0 * HEARTBEAT_SECONDS
RATE_LIMITED_SECONDS: Final = 10.0
MAINTENANCE_SECONDS: Final = 10.0
WRONG_NETWORK_SECONDS: Final = 60.0
HEARTBEAT_AGAIN_SECONDS: Final = 5.0
READERS: Final = 5000
"""Bound of what is remembered of channels that nobody asked for."""
UNSUBSCRIBED: Final = 11052
LOGIN_DEMANDED: Final = 11056
TEST: Final = Send(wire.call(TEST_ID, "public/test"))
HEARTBEAT: Final = Send(wire.call(HEARTBEAT_ID, "public/set_heartbeat", interval=HEARTBEAT_SECONDS))


class DeribitSession:
    """Answers heartbeats, subscribes at the permitted pace, reads what comes, and notices what does not."""

    def __init__(self, plan: ConnectionPlan, *, quote_interval: int, testnet: bool | None) -> None:
        self._subscriptions: dict[str, Subscription] = {}
        self._ignored = Tally()
        self.subscriptions: Mapping[str, Subscription] = self._subscriptions
        self.ignored: dict[str, int] = self._ignored
        samples = {kind: Sample(kind, self._ignored) for kind in KINDS}
        self._shared = Shared(self._ignored, samples, quote_interval)
        self._readers: dict[str, Reader] = {}
        self._calls = Calls()
        self._silence = DeribitSilence(self._readers, self._shared)
        self._testnet = testnet
        self._frames = 0
        self._frames_noted = -1
        self._heard_at = 0.0
        """Monotonic time, as of the last ``due``, of the last frame of any kind."""
        self._heartbeat_at = 0.0
        self._heartbeat_refused = False
        self._login_demanded = False
        self._open = False
        self._ended = False
        self._admit(plan.wanted)

    @property
    def refused(self) -> frozenset[str]:
        """Channels that the exchange would not subscribe; asked for again every ten minutes."""
        return frozenset(self._calls.refused)

    @property
    def live(self) -> bool:
        refused = self._calls.refused
        return self._open and all(one.live or name in refused for name, one in self._subscriptions.items())

    def opened(self, now: float) -> Sequence[Output]:
        self._open = True
        self._heard_at = now
        self._heartbeat_at = now
        return [HEARTBEAT, *self._call(now)]

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[Output]:
        self._frames += 1
        self._shared.market_time = receive_time
        if len(text) > SHORT_TEXT and has_endless_number(text):
            raise ProtocolViolation("a number that goes on and on")
        try:
            frame = wire.read_frame(text)
            params = frame.params
            if params is not None and frame.method == "subscription":
                reader = self._readers.get(params.channel) or self._unasked(params.channel)
                outputs = reader.read(params.data, receive_time)
                reader.subscription.messages += 1
                return outputs
            return self._other(frame, receive_time)
        except wire.UNREADABLE as error:
            raise ProtocolViolation(f"a message that cannot be read: {error}") from error

    def due(self, now: float) -> Sequence[Output]:
        if self._ended or not self._open:
            return ()
        outputs: list[Output] = [*self._held_back(now), *self._heartbeat(now), *self._call(now)]
        end = self._silent(now)
        outputs += [end] if end else self._silence.due(self._subscriptions, now)
        for at, output in enumerate(outputs):
            if isinstance(output, Reconnect):
                self._ended = True
                return outputs[: at + 1]
        return outputs

    def change(self, wanted: Sequence[Wanted], now: float) -> Sequence[Output]:
        kept = {name for one in wanted for name in channels.names_of(one)}
        gone = [name for name in self._subscriptions if name not in kept]
        requested = [name for name in gone if self._subscriptions[name].requested_at is not None]
        for name in gone:
            left = self._subscriptions.pop(name).wanted
            del self._readers[name]
            if left.channel is Channel.TRADE:  # what passes meanwhile was not asked for
                self._shared.sequences.pop(left.symbol, None)
        self._silence.forget(gone)
        self._calls.unsubscribe(gone, requested=requested)
        self._admit(wanted)
        return list(self._call(now)) if self._open and not self._ended else ()

    def expect(self, sequences: Mapping[str, int]) -> None:
        held = self._shared.sequences
        for symbol, sequence in sequences.items():
            held[symbol] = max(sequence, held.get(symbol, sequence))

    def _admit(self, wanted: Sequence[Wanted]) -> None:
        new: list[str] = []
        for one in wanted:
            for name in channels.names_of(one):
                if name not in self._subscriptions:
                    patience = channels.patience_of(one)
                    subscription = Subscription(
                        name=name,
                        wanted=one,
                        deadline_seconds=patience.deadline_seconds,
                        patience_seconds=patience.probe_seconds,
                    )
                    self._subscriptions[name] = subscription
                    self._readers[name] = reader_of(name, subscription, self._shared)
                    new.append(name)
        self._calls.subscribe(new)
        self._shared.symbols = {one.wanted.symbol for one in self._subscriptions.values()}
        self._shared.ended &= self._shared.symbols

    def _unasked(self, name: str) -> Reader:
        reader = reader_of(name, unasked(name), self._shared)
        if len(self._readers) < READERS:
            self._readers[name] = reader
        return reader

    def _call(self, now: float) -> Iterator[Output]:
        due = self._calls.due(now)
        if due is None:
            return
        call, text = due
        if call.method == SUBSCRIBE:
            for name in call.names:
                self._subscriptions[name].requested(now)
        yield Send(text, SUBSCRIBE_LIMIT, call.turn)

    def _heartbeat(self, now: float) -> Iterator[Output]:
        if self._heartbeat_refused and now - self._heartbeat_at >= HEARTBEAT_AGAIN_SECONDS:
            self._heartbeat_at, self._heartbeat_refused = now, False
            yield HEARTBEAT

    def _held_back(self, now: float) -> Iterator[Output]:
        for reader in self._readers.values():
            if isinstance(reader, Numbers):
                yield from reader.flush(self._shared.market_time, now)

    def _silent(self, now: float) -> Reconnect | None:
        if self._frames != self._frames_noted:
            self._frames_noted, self._heard_at = self._frames, now
        if now - self._heard_at > SILENT_SECONDS:
            return Reconnect(Reason.SESSION_SILENT, f"no frame for {now - self._heard_at:.0f} s")
        unanswered = self._calls.unanswered(now)
        if unanswered is None:
            return None
        what = f"{unanswered.method} of {len(unanswered.names)} channels was not answered"
        return Reconnect(Reason.NEVER_DELIVERED, what)

    def _other(self, frame: wire.Frame, receive_time: int) -> Sequence[Output]:
        if frame.method == "heartbeat":
            asked = frame.params is not None and frame.params.type == "test_request"
            return (TEST,) if asked else ()
        if frame.method:
            self._ignored.note(frame.method)
            return ()
        if frame.testnet is not None and self._testnet is not None and frame.testnet != self._testnet:
            network = "the test network" if frame.testnet else "the production network"
            detail = f"{network} answers, which is not the one configured"
            return self._end(Reconnect(Reason.PROTOCOL, detail, WRONG_NETWORK_SECONDS))
        if frame.error is not None:
            return self._failed(frame.error, frame.id, receive_time)
        if self._calls.asked(frame.id):
            self._answered(frame.id, frame.result)
        elif frame.id not in (TEST_ID, HEARTBEAT_ID):
            self._ignored.note("result")
        return ()

    def _answered(self, number: object, result: Raw) -> None:
        for name in self._calls.answered(number, wire.read_names(result)):
            if name in self._subscriptions:
                self._subscriptions[name].acknowledged = True

    def _failed(self, error: wire.Error, number: object, receive_time: int) -> Sequence[Output]:
        said = f"{error.code} {error.message}"
        if error.code == rest.TOO_MANY_REQUESTS:
            return self._end(Reconnect(Reason.RATE_LIMITED, said, RATE_LIMITED_SECONDS))
        if error.code == rest.MAINTENANCE:
            state = _state(ExchangeStatus.MAINTENANCE, "", error.code, receive_time)
            return self._end(Reconnect(Reason.MAINTENANCE, said, MAINTENANCE_SECONDS), state)
        if error.code == UNSUBSCRIBED:
            return self._end(Reconnect(Reason.SUBSCRIBE_REFUSED, said))
        self._ignored.note(f"error.{error.code}")
        if self._calls.asked(number):
            self._calls.failed(number, error.code)
        self._heartbeat_refused = self._heartbeat_refused or number == HEARTBEAT_ID
        if error.code == LOGIN_DEMANDED and not self._login_demanded:
            self._login_demanded = True
            return (_state(ExchangeStatus.PARTIAL, "public_requests", error.code, receive_time),)
        return ()

    def _end(self, reconnect: Reconnect, *before: Output) -> Sequence[Output]:
        self._ended = True
        return (*before, reconnect)


def _state(status: ExchangeStatus, scope: str, code: int, receive_time: int) -> ExchangeState:
    return ExchangeState(status, scope, str(code), receive_time, receive_time)

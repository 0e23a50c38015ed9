"""A silent channel: a thin market, an instrument that is gone, or a connection that hangs?

REST is asked before a connection is given up. It is given up when REST shows what the channel should
have told and did not, seconds later still; an answer that fails proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import gt, ne
from typing import Any, Final

import msgspec

from trade_platform.domain.model import MINUTE, Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.deribit import channels, measures, rest, wire
from trade_platform.exchanges.deribit.readers import FINAL_STATES, Reader, Shared
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import (
    Missing,
    Output,
    ProtocolViolation,
    Reason,
    Reconnect,
    Request,
    Rest,
    RestError,
)

GRACE_SECONDS: Final = 5.0
"""What REST already shows may still be on its way; also the time between two looks."""
LOST_SECONDS: Final = 30.0
"""A question without an answer for so long has failed."""
IN_FLIGHT: Final = 3
"""Questions at a time; one is begun per ``due``, so that a thousand silent options cost little."""
GONE: Final = object()
"""The instrument does not exist any more."""
_GONE_CODES: Final = re.compile(r"\b(10020|13020)\b|-32602\b")


class Probe(msgspec.Struct, frozen=True):
    """How REST shows what a channel should have told last."""

    request: Callable[[str, int], Request]
    """Of a symbol, at a market time."""
    mark: Callable[[bytes], Any]
    moved: Callable[[Any, Any], bool] = ne
    """Whether the mark found differs from the one held in a way that the channel should have told."""


class Doubt(msgspec.Struct):
    """One silence that is being looked into."""

    asked_at: float
    answered: bool = False
    failed: bool = False
    found: Any = None
    moved_at: float | None = None
    look_again_at: float | None = None


class Silence:
    """Watches the subscriptions of one session."""

    def __init__(self, readers: Mapping[str, Reader], shared: Shared) -> None:
        self._readers = readers
        self._shared = shared
        self._doubts: dict[str, Doubt] = {}
        self._marks: dict[str, Any] = {}
        """What REST showed of channels that never told anything themselves."""

    def due(self, subscriptions: Sequence[Subscription], now: float) -> Iterator[Output]:
        """Questions to ask, or the end of the connection."""
        asked = False
        for subscription in subscriptions:
            if not self._silent(subscription, now):
                self._doubts.pop(subscription.name, None)
                continue
            output = self._consider(subscription, now, may_ask=not asked)
            asked = asked or isinstance(output, Rest)
            if output is not None:
                yield output

    def forget(self, names: Iterable[str]) -> None:
        """These are no longer subscribed: a question about them is nobody's any more."""
        for name in names:
            self._doubts.pop(name, None)
            self._marks.pop(name, None)

    def _silent(self, subscription: Subscription, now: float) -> bool:
        patience = channels.patience_of(subscription.wanted)
        ended = subscription.wanted.symbol in self._shared.ended
        subscription.deadline_seconds = None if ended else patience.deadline_seconds
        subscription.overdue(now)  # notes what arrived
        if ended or not subscription.acknowledged:
            return False
        limit = patience.deadline_seconds or patience.probe_seconds
        age = subscription.age(now)
        return limit is not None and age is not None and age > limit

    def _consider(self, subscription: Subscription, now: float, *, may_ask: bool) -> Output | None:
        wanted, name = subscription.wanted, subscription.name
        probe = PROBES.get(wanted.channel)
        if subscription.messages and channels.patience_of(wanted).never_quiet:
            return self._end(subscription, now)
        if probe is None:
            subscription.excuse(now)
            return None
        doubt = self._doubts.get(name)
        if doubt is None or (doubt.look_again_at is not None and now >= doubt.look_again_at):
            return self._ask(probe, wanted, name, now) if may_ask else None
        if not doubt.answered:
            doubt.answered = doubt.failed = now - doubt.asked_at > LOST_SECONDS
        elif doubt.look_again_at is None:
            return self._judge(probe, subscription, doubt, now)
        return None

    def _judge(self, probe: Probe, subscription: Subscription, doubt: Doubt, now: float) -> Output | None:
        name = subscription.name
        if doubt.failed:
            subscription.last_seen = now
            return None
        if doubt.found is GONE:
            self._shared.ended.add(subscription.wanted.symbol)
            return None
        held = self._readers[name].mark if subscription.messages else self._marks.get(name)
        if doubt.found is not None and held is None:
            self._marks[name] = doubt.found
            doubt.look_again_at = now + GRACE_SECONDS
            return self._missed(subscription.wanted, doubt.found)
        if doubt.found is not None and probe.moved(doubt.found, held):
            doubt.moved_at = now if doubt.moved_at is None else doubt.moved_at
            if now - doubt.moved_at >= GRACE_SECONDS:
                return self._end(subscription, now)
        else:
            subscription.excuse(now)
        return None

    def _missed(self, wanted: Wanted, newest: Any) -> Missing | None:
        """What was traded between the last published trade and a subscription that has told none yet."""
        if wanted.channel is not Channel.TRADE:
            return None
        held = self._shared.sequences.get(wanted.symbol)
        self._shared.sequences[wanted.symbol] = newest if held is None else max(held, newest)
        if held is None or newest <= held:
            return None
        return Missing(wanted.symbol, wanted.channel, held + 1, newest)

    def _ask(self, probe: Probe, wanted: Wanted, name: str, now: float) -> Rest | None:
        if sum(not doubt.answered for doubt in self._doubts.values()) >= IN_FLIGHT:
            return None
        doubt = self._doubts[name] = Doubt(now)

        def parse(body: bytes) -> Sequence[Output]:
            try:
                doubt.found = probe.mark(body)
            except RestError as error:
                return failed(str(error))
            except ProtocolViolation:
                doubt.failed = True
            doubt.answered = True
            return ()

        def failed(sentence: str) -> Sequence[Output]:
            gone = _GONE_CODES.search(sentence) is not None
            doubt.found, doubt.failed, doubt.answered = GONE if gone else None, not gone, True
            return ()

        return Rest(probe.request(wanted.symbol, self._shared.market_time), parse, failed)

    def _end(self, subscription: Subscription, now: float) -> Reconnect:
        reason = Reason.CHANNEL_SILENT if subscription.messages else Reason.NEVER_DELIVERED
        if self._shared.maintenance:
            reason = Reason.MAINTENANCE
        return Reconnect(reason, f"{subscription.name}: nothing for {subscription.age(now):.0f} s")


def _last_trade(symbol: str, market_time: int) -> Request:  # noqa: ARG001
    return rest.last_trade_request(symbol)


def _last_sequence(body: bytes) -> int | None:
    return max((trade.trade_seq for trade in rest.result(body, wire.Trades).trades), default=None)


def _ticker(symbol: str, market_time: int) -> Request:  # noqa: ARG001
    return rest.request("ticker", instrument_name=symbol)


def _ticker_of(mark: Callable[[wire.Ticker], Any]) -> Callable[[bytes], Any]:
    def found(body: bytes) -> Any:
        ticker = rest.result(body, wire.Ticker)
        return GONE if ticker.state in FINAL_STATES else mark(ticker)

    return found


def _index(symbol: str, market_time: int) -> Request:  # noqa: ARG001
    return rest.request("get_index_price", index_name=symbol)


def _last_candles(symbol: str, market_time: int) -> Request:
    return rest.candles_request(symbol, market_time - 10 * MINUTE, market_time + MINUTE)


def _last_tick(body: bytes) -> int | None:
    """The last candle with trades: whether empty ones are told too is not the same for every instrument."""
    chart = rest.result(body, wire.Chart)
    pairs = zip(chart.ticks, chart.volume, strict=False)
    return max((tick for tick, volume in pairs if volume), default=None)


PROBES: Final = {
    Channel.TRADE: Probe(_last_trade, _last_sequence, gt),
    Channel.CANDLE: Probe(_last_candles, _last_tick, gt),
    Channel.QUOTE: Probe(_ticker, _ticker_of(measures.quote_mark)),
    Channel.TICKER: Probe(_ticker, _ticker_of(measures.ticker_mark)),
    Channel.INDEX: Probe(_index, lambda body: rest.result(body, wire.IndexPrice).index_price),
}

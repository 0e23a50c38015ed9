"""What Deribit's channels told last, and how REST shows what they should have told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import gt, ne
from typing import Any, Final

from trade_platform.domain.model import MINUTE, Channel
from trade_platform.exchanges.deribit import channels, measures, rest, wire
from trade_platform.exchanges.deribit.readers import FINAL_STATES, Reader, Shared
from trade_platform.exchanges.evidence import GONE, Look, Watch
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.pacing import Pace
from trade_platform.exchanges.session import Missing, Output, Reason, Reconnect, Request
from trade_platform.exchanges.silence import Silence

CREDITS_PER_SECOND: Final = 500.0
"""Of the 10,000 a second that an address may spend, per connection: one look."""
BURST_CREDITS: Final = 4000.0
ROUNDING: Final = Decimal("1e-9")
_GONE_CODES: Final = re.compile(r"\b(10020|13020)\b|-32602\b")


class DeribitSilence:
    """The silences of one session."""

    def __init__(self, readers: Mapping[str, Reader], shared: Shared) -> None:
        self._shared = shared
        pace = Pace(weight_per_second=CREDITS_PER_SECOND, burst=BURST_CREDITS)
        self._silence = Silence(DeribitWitness(readers, shared), pace)

    def due(self, subscriptions: Mapping[str, Subscription], now: float) -> list[Output]:
        """Questions to ask, or the end of the connection."""
        outputs = self._silence.judge(subscriptions, self._shared.market_time, now)
        if self._shared.maintenance:
            return [_in_maintenance(output) for output in outputs]
        return outputs

    def forget(self, names: Iterable[str]) -> None:
        """These are no longer subscribed."""
        for name in names:
            self._silence.forget(name)


class DeribitWitness:
    """Implements ``exchanges.silence.Witness``."""

    def __init__(self, readers: Mapping[str, Reader], shared: Shared) -> None:
        self._readers = readers
        self._shared = shared

    def watch(self, subscription: Subscription) -> Watch | None:
        wanted = subscription.wanted
        patience = channels.patience_of(wanted)
        ended = wanted.symbol in self._shared.ended
        subscription.deadline_seconds = None if ended else patience.deadline_seconds
        subscription.patience_seconds = None if ended else patience.probe_seconds
        if ended or (patience.deadline_seconds or patience.probe_seconds) is None:
            return None
        return Watch(LOOKS.get(wanted.channel), patience.steady_seconds)

    def held(self, subscription: Subscription) -> Any:
        return self._readers[subscription.name].mark

    def stood(self, subscription: Subscription, mark: Any) -> Sequence[Output]:
        """What was traded between the last published trade and a subscription that has told none yet."""
        symbol = subscription.wanted.symbol
        if subscription.wanted.channel is not Channel.TRADE:
            return ()
        held = self._shared.sequences.get(symbol)
        self._shared.sequences[symbol] = mark if held is None else max(held, mark)
        return () if held is None or mark <= held else (Missing(symbol, Channel.TRADE, held + 1, mark),)

    def traded(self, subscription: Subscription) -> int:
        return self._shared.sequences.get(subscription.wanted.symbol, 0)

    def is_gone(self, sentence: str) -> bool:
        return _GONE_CODES.search(sentence) is not None

    def gone(self, subscription: Subscription) -> None:
        self._shared.ended.add(subscription.wanted.symbol)


def _in_maintenance(output: Output) -> Output:
    if isinstance(output, Reconnect):
        return Reconnect(Reason.MAINTENANCE, output.detail, output.after_seconds)
    return output


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


def _last_candle(body: bytes) -> tuple[int, Decimal] | None:
    """The last candle with trades: whether empty ones are told too is not the same for every instrument."""
    chart = rest.result(body, wire.Chart)
    pairs = zip(chart.ticks, chart.volume, strict=False)
    return max(((tick, volume) for tick, volume in pairs if volume), default=None)


def _more_traded(found: tuple[int, Decimal], held: tuple[int, Decimal]) -> bool:
    """A later minute, or more in the same than rounding explains."""
    return found[0] > held[0] or (found[0] == held[0] and found[1] > held[1] * (1 + ROUNDING))


LOOKS: Final = {
    Channel.TRADE: Look(_last_trade, _last_sequence, gt, rest.CREDITS),
    Channel.CANDLE: Look(_last_candles, _last_candle, _more_traded, rest.CREDITS),
    Channel.QUOTE: Look(_ticker, _ticker_of(measures.quote_mark), ne, rest.CREDITS),
    Channel.TICKER: Look(_ticker, _ticker_of(measures.ticker_mark), ne, rest.CREDITS),
    Channel.INDEX: Look(
        _index, lambda body: rest.result(body, wire.IndexPrice).index_price, ne, rest.CREDITS
    ),
}

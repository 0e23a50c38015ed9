"""One reader per subscribed channel: its messages in, records out, and the little that must be remembered.

``mark`` is what the channel last told, in a form that a REST answer can be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec
from msgspec import Raw

from trade_platform.domain.model import Candle, Channel, ExchangeStatus
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.deribit import records, wire
from trade_platform.exchanges.deribit.known import Sample
from trade_platform.exchanges.deribit.measures import MEASURES, Numbers
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import Missing, Output
from trade_platform.exchanges.tally import Tally

NOTHING: Final[tuple[Output, ...]] = ()
FINAL_STATES: Final = frozenset(
    ("closed", "delivered", "archivized", "terminated", "deactivated", "inactive", "settled")
)
"""An instrument in one of these will not be heard of again, or not soon."""
INTERVALS: Final = {
    **{str(n): f"{n}m" for n in (1, 3, 5, 10, 15, 30)},
    **{str(60 * n): f"{n}h" for n in (1, 2, 3, 6, 12)},
    "1D": "1d",
}


class Reader(Protocol):
    """What understands the messages of one channel."""

    subscription: Subscription

    @property
    def mark(self) -> Any:
        """The newest that was told; None where nothing was."""

    def read(self, data: Raw, receive_time: int) -> Sequence[Output]:
        """Records of one message."""


class Shared(msgspec.Struct):
    """What the readers of one session have in common."""

    ignored: Tally
    samples: dict[str, Sample]
    quote_interval: int = 0
    sequences: dict[str, int] = {}
    """Highest trade_seq per symbol: told by the exchange, or expected from what is already published."""
    symbols: set[str] = set()
    """What is subscribed; of nothing else anything is remembered."""
    ended: set[str] = set()
    """Symbols of ours in a final state."""
    maintenance: bool = False
    market_time: int = 0
    """Receive time of the last message: the market clock as far as it is told here."""


def reader_of(name: str, subscription: Subscription, shared: Shared) -> Reader:
    """The reader of a channel by its name, whether we asked for it or not."""
    kind, symbol, interval = parts_of(name)
    if kind in shared.samples and not (kind == "chart.trades" and interval not in INTERVALS):
        sample = shared.samples[kind]
        if kind == "trades":
            return Trades(subscription, shared, sample)
        if kind == "chart.trades":
            return Candles(subscription, sample, symbol, INTERVALS[interval])
        if kind == "instrument.state":
            return States(subscription, shared, sample)
        if kind == "platform_state":
            return Platform(subscription, shared, sample, name)
        if symbol:
            return Numbers(subscription, sample, symbol, MEASURES[kind], shared.quote_interval)
    return Unread(subscription, shared, kind or "subscription")


def parts_of(name: str) -> tuple[str, str, str]:
    """(kind, symbol, interval) of a channel name; an unknown kind is its first word, or two of ``user.``."""
    words = name.split(".")
    if words[0] in ("user", "chart", "instrument"):
        words[:2] = [".".join(words[:2])]
    symbol = words[1] if len(words) > 1 else ""
    return words[0], symbol, words[2] if len(words) > 2 else ""


class Trades:
    """``trades.*``: trade_seq is contiguous per instrument."""

    def __init__(self, subscription: Subscription, shared: Shared, sample: Sample) -> None:
        self.subscription = subscription
        self._shared = shared
        self._sequences = shared.sequences
        self._sample = sample

    @property
    def mark(self) -> int | None:
        return self._sequences.get(self.subscription.wanted.symbol)

    def read(self, data: Raw, receive_time: int) -> Sequence[Output]:
        trades = wire.read_trades(data)
        self._sample.look(data)
        if len(trades) > 1:
            trades.sort(key=_sequence)
        sequences = self._sequences
        outputs: list[Output] = []
        for trade in trades:
            record = records.trade_of(trade, receive_time)
            sequence, symbol = trade.trade_seq, trade.instrument_name
            last = sequences.get(symbol)
            if last is None and symbol not in self._shared.symbols:
                pass  # late, or none of ours: counted from here, it would be missing when it is selected
            elif last is None or sequence > last:
                if last is not None and sequence > last + 1:
                    outputs.append(Missing(symbol, Channel.TRADE, last + 1, sequence - 1))
                sequences[symbol] = sequence
            outputs.append(record)
        return outputs


class Candles:
    """``chart.trades.*``: no closed flag, but a higher tick says that the one before is final."""

    def __init__(self, subscription: Subscription, sample: Sample, symbol: str, interval: str) -> None:
        self.subscription = subscription
        self._sample = sample
        self._symbol = symbol
        self._interval = interval
        self._last: Candle | None = None

    @property
    def mark(self) -> tuple[int, Decimal] | None:
        last = self._last
        return None if last is None else (last.open_time // records.MILLISECOND, last.volume)

    def read(self, data: Raw, receive_time: int) -> Sequence[Output]:
        bar = wire.read_bar(data)
        self._sample.look(data)
        last = self._last
        open_time = bar.tick * records.MILLISECOND
        restated = last is not None and open_time < last.open_time
        candle = records.candle_of(bar, self._symbol, self._interval, receive_time, closed=restated)
        if restated:
            return (candle,)
        self._last = candle
        if last is None or open_time == last.open_time:
            return (candle,)
        return (msgspec.structs.replace(last, closed=True, receive_time=receive_time), candle)


class States:
    """``instrument.state.*``."""

    mark = None

    def __init__(self, subscription: Subscription, shared: Shared, sample: Sample) -> None:
        self.subscription = subscription
        self._shared = shared
        self._sample = sample

    def read(self, data: Raw, receive_time: int) -> Sequence[Output]:
        state = wire.read_state(data)
        self._sample.look(data)
        if state.state not in FINAL_STATES:
            self._shared.ended.discard(state.instrument_name)
        elif state.instrument_name in self._shared.symbols:
            self._shared.ended.add(state.instrument_name)
        return (records.instrument_state_of(state, receive_time),)


class Platform:
    """``platform_state`` and ``platform_state.public_methods_state``."""

    mark = None

    def __init__(self, subscription: Subscription, shared: Shared, sample: Sample, name: str) -> None:
        self.subscription = subscription
        self._shared = shared
        self._sample = sample
        self._name = name

    def read(self, data: Raw, receive_time: int) -> Sequence[Output]:
        platform = wire.read_platform(data)
        self._sample.look(data)
        states = records.exchange_states(platform, self._name, receive_time)
        if not states:
            self._shared.ignored.note(self._name)
        if platform.maintenance is not None:
            self._shared.maintenance = states[0].status is ExchangeStatus.MAINTENANCE
        return states


class Unread:
    """A channel that is not recorded: order books, private channels, whatever is new. It is counted."""

    mark = None

    def __init__(self, subscription: Subscription, shared: Shared, kind: str) -> None:
        self.subscription = subscription
        self._ignored = shared.ignored
        self._kind = kind

    def read(self, data: Raw, receive_time: int) -> Sequence[Output]:  # noqa: ARG002
        self._ignored.note(self._kind)
        return NOTHING


def unasked(name: str) -> Subscription:
    """Stands for a channel that we did not ask for, or no longer."""
    return Subscription(name=name, wanted=Wanted("", Channel.PLATFORM))


def _sequence(trade: wire.Trade) -> int:
    return trade.trade_seq

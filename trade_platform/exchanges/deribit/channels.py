"""Deribit's channel names, how long each may be silent, and what fits on one connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Final

import msgspec

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import ConnectionPlan

WEBSOCKET_PATH: Final = "/ws/api/v2"
CHANNELS_A_CONNECTION: Final = 400
CONNECTIONS: Final = 24
"""Of the 32 that an IP may hold; the rest is for REST and for a change of shift."""
CHANNELS_A_CALL: Final = 200
BYTES_A_CALL: Final = 16_000
"""Half of what a frame may have, framing included."""

INSTRUMENT_CHANNELS: Final = frozenset({Channel.TRADE, Channel.CANDLE, Channel.QUOTE, Channel.TICKER})
INDEX_CHANNELS: Final = frozenset({Channel.INDEX, Channel.VOLATILITY})
EXCHANGE_CHANNELS: Final = frozenset({Channel.PLATFORM, Channel.INSTRUMENT_STATE})

NAMES: Final[dict[Channel, tuple[str, ...]]] = {
    Channel.TRADE: ("trades.{}.100ms",),
    Channel.CANDLE: ("chart.trades.{}.1",),
    Channel.QUOTE: ("quote.{}",),
    Channel.TICKER: ("ticker.{}.100ms",),
    Channel.INDEX: ("deribit_price_index.{}",),
    Channel.VOLATILITY: ("deribit_volatility_index.{}",),
    Channel.PLATFORM: ("platform_state", "platform_state.public_methods_state"),
    Channel.INSTRUMENT_STATE: ("instrument.state.any.any",),
}


class Patience(msgspec.Struct, frozen=True):
    """How long a channel may be silent, and what its silence means then."""

    deadline_seconds: float | None = None
    """Silence beyond it must be explained; the subscription is not live before its first data."""
    probe_seconds: float | None = None
    """Without a deadline: how often to ask by REST whether the silence is the market's."""
    steady_seconds: float | None = None
    """It ticks whatever the market does: if all such channels are silent for so long, no look is needed."""


_PERPETUAL: Final = {
    Channel.TRADE: Patience(60),
    Channel.CANDLE: Patience(150),  # an update a minute at least: quiet minutes are sent too
    Channel.QUOTE: Patience(60),
    Channel.TICKER: Patience(12, steady_seconds=10),  # mark and index price move every second
}
_OTHERS: Final = {
    Channel.TRADE: Patience(probe_seconds=600),  # an option may not trade for weeks
    Channel.CANDLE: Patience(probe_seconds=600),
    Channel.QUOTE: Patience(probe_seconds=600),
    Channel.TICKER: Patience(60),
    Channel.INDEX: Patience(12, steady_seconds=10),  # a tick a second or more
    Channel.VOLATILITY: Patience(60),
}


def names_of(wanted: Wanted) -> tuple[str, ...]:
    """The exchange's channels for one wanted; empty where the symbol cannot have it.

    Index names are written in small letters, instruments are not; that much of a name is read here.
    """
    if wanted.channel in EXCHANGE_CHANNELS:
        return NAMES[wanted.channel] if not wanted.symbol else ()
    fitting = INDEX_CHANNELS if wanted.symbol.islower() else INSTRUMENT_CHANNELS
    if not wanted.symbol or wanted.channel not in fitting:
        return ()
    return tuple(name.format(wanted.symbol) for name in NAMES[wanted.channel])


def patience_of(wanted: Wanted) -> Patience:
    """Perpetuals are busy by nature; of anything else only its ticker and indices are."""
    table = _PERPETUAL if wanted.symbol.endswith("-PERPETUAL") else _OTHERS
    return table.get(wanted.channel, Patience())


def batches(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Cut into calls that stay inside the published sizes."""
    batch: list[str] = []
    size = 0
    for name in names:
        if batch and (len(batch) == CHANNELS_A_CALL or size + len(name) + 3 > BYTES_A_CALL):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(name)
        size += len(name) + 3
    if batch:
        yield tuple(batch)


def plan(wanted: Iterable[Wanted], previous: Sequence[ConnectionPlan] = ()) -> list[ConnectionPlan]:
    """Shard by channels a connection; what ``previous`` holds stays, the rest goes where there is room."""
    open_ones = {one: len(names_of(one)) for one in dict.fromkeys(wanted) if names_of(one)}
    limit = max(CHANNELS_A_CONNECTION, ceil(sum(open_ones.values()) / CONNECTIONS) + 1)
    shards = {old.name: [one for one in old.wanted if one in open_ones] for old in previous}
    loads = {name: sum(open_ones[one] for one in shard) for name, shard in shards.items()}
    placed = {one for shard in shards.values() for one in shard}
    for one in (one for one in open_ones if one not in placed):
        name = next((name for name, load in loads.items() if load + open_ones[one] <= limit), None)
        if name is None:
            name = next(f"market-{n}" for n in range(len(shards) + 1) if f"market-{n}" not in shards)
            shards[name], loads[name] = [], 0
        shards[name].append(one)
        loads[name] += open_ones[one]
    return [
        ConnectionPlan(name=name, path=WEBSOCKET_PATH, wanted=tuple(shard))
        for name, shard in shards.items()
        if shard
    ]

"""Faults of the market itself: its clock, its instruments, its locks, its bursts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from streamers.simulator.faults import Fault
from streamers.simulator.floor import Floor
from streamers.simulator.interference import Heard
from streamers.simulator.listing import BINANCE_USDM, DERIBIT, INDICES, MILLISECOND
from streamers.simulator.market import Pit
from streamers.simulator.newcomers import ENDED, expire, expiring, list_new

if TYPE_CHECKING:
    from streamers.simulator.exchange import SimulatedExchange

SETTLEMENT_BURST = 300
"""Trades of a settlement, over all instruments."""


def floor_of(exchange: SimulatedExchange) -> Floor:
    """The market; ``objection`` has seen to it that there is one."""
    assert isinstance(exchange.source, Floor)
    return exchange.source


def clock_off(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """Every stamp of the exchange is wrong for a time."""
    stamps = floor_of(exchange).stamps
    stamps.offset = round(fault.offset_seconds * 1000) * MILLISECOND

    def right() -> Iterable[Heard]:
        stamps.offset = 0
        return ()

    exchange.later(now + fault.seconds, right)
    return iter(())


def burst(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """Many trades at once."""
    _ = now
    exchange.troubles.count("burst", _burst(floor_of(exchange), fault.count, fault.symbol))
    return iter(())


def _burst(floor: Floor, trades: int, symbol: str = "") -> int:
    """Spread over those that trade most, or all in one."""
    able = [pit for name, pit in floor.pits.items() if not (pit.over or pit.halted) and symbol in ("", name)]
    able = sorted(able, key=lambda pit: -pit.rate)[:4]
    share = -(-trades // max(len(able), 1))
    return sum(floor.burst(pit, share) for pit in able)


def listing(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """New instruments."""
    _ = now
    floor = floor_of(exchange)
    for _number in range(fault.count):
        announce(floor, list_new(floor), "open")
    exchange.troubles.count(fault.fault, fault.count)
    return iter(())


def expiry(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """Instruments end."""
    _ = now
    floor = floor_of(exchange)
    for pit in expiring(floor, fault.symbol)[: fault.count]:
        announce(floor, pit, "settlement")
        expire(floor, pit)
        announce(floor, pit, ENDED[floor.exchange])
        exchange.troubles.count(fault.fault)
    return iter(())


def settlement(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """Eight o'clock: a burst, REST in settlement for seconds, options expire and new ones are listed."""
    exchange.troubles.begin(fault, now)
    _burst(floor_of(exchange), SETTLEMENT_BURST)
    yield from expiry(exchange, fault, now)
    yield from listing(exchange, fault, now)


def lock(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """One index, or all of them: nobody trades until the lock is lifted."""
    exchange.troubles.begin(fault, now)
    indices = [fault.index] if fault.fault == "partial_lock" else list(INDICES)
    _turn(exchange, indices)

    def lift() -> Iterable[Heard]:
        exchange.troubles.lasting(fault.fault, now + fault.seconds)  # forget what has ended by now
        _turn(exchange, indices)
        return ()

    exchange.troubles.count(fault.fault)
    exchange.later(now + fault.seconds, lift)
    return iter(())


def _turn(exchange: SimulatedExchange, indices: list[str]) -> None:
    """Halt or free, and say so; an index stays locked while any fault locks it."""
    floor = floor_of(exchange)
    locked = exchange.locked_indices()
    for pit in floor.pits.values():
        pit.halted = pit.listing.index in locked
    for index in indices:
        said = "true" if index in locked else "false"
        floor.hub.say("platform_state", f'{{"price_index":"{index}","locked":{said}}}')


def announce(floor: Floor, pit: Pit, state: str) -> None:
    """Say in which state an instrument is now."""
    listing_, time = pit.listing, floor.shown // 1000
    if floor.exchange == DERIBIT:
        kind = {"perpetual": "future"}.get(listing_.kind, listing_.kind)
        data = f'{{"timestamp":{time},"state":"{state}","instrument_name":"{listing_.symbol}"}}'
        for one in (kind, "any"):
            for currency in (listing_.settlement or listing_.quote, "any"):
                if floor.hub.wanted(f"instrument.state.{one}.{currency}"):
                    floor.hub.say(f"instrument.state.{one}.{currency}", data)
    elif floor.exchange == BINANCE_USDM and floor.hub.wanted("!contractInfo") and state != "settlement":
        shown = floor.instruments()[listing_.symbol]
        floor.hub.say(
            "!contractInfo",
            f'{{"e":"contractInfo","E":{time},"s":"{listing_.symbol}","ps":"{shown["pair"]}",'
            f'"ct":"{shown["contractType"]}","dt":{shown["deliveryDate"]},"ot":{shown["onboardDate"]},'
            f'"cs":"{shown["status"]}"}}',
        )

"""What each fault does at its moment: to connections, to handshakes and answers to come, to the market."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from streamers.simulator import market_faults
from streamers.simulator.accounts import faults as account_faults
from streamers.simulator.binance_rest import BinanceRest
from streamers.simulator.deribit import DeribitConversation
from streamers.simulator.deribit_rest import envelope, refusal
from streamers.simulator.faults import ACCOUNT_NAMES, Fault
from streamers.simulator.hub import Abort, Close, Instruction, Say
from streamers.simulator.interference import Heard

if TYPE_CHECKING:
    from streamers.simulator.exchange import SimulatedExchange

LASTING = (
    "silence",
    "mute_new",
    "deaf",
    "refuse",
    "accept_close",
    "tls_error",
    "slow",
    "wrong_route",
    "heartbeat_stop",
    "rest_refuse",
)
OWED = (
    "skip",
    "duplicate",
    "reorder",
    "split",
    "huge",
    "malformed",
    "unknown_type",
    "null_fields",
    "missing_fields",
    "short_ack",
)


def strike(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """Do what a fault says."""
    if fault.fault in ACCOUNT_NAMES or fault.fault == "settlement":
        yield from account_faults.strike(exchange, fault, now)
    if fault.fault in ACCOUNT_NAMES:
        return
    if fault.fault in LASTING:
        exchange.troubles.begin(fault, now)
    elif fault.fault in OWED:
        exchange.troubles.owe(fault)
    else:
        yield from DEEDS[fault.fault](exchange, fault, now)


def _end(exchange: SimulatedExchange, fault: Fault, how: Instruction) -> Iterator[Heard]:
    for one in list(exchange.hub.conversations):
        exchange.troubles.count(fault.fault)
        exchange.reception.leaving.add(one)
        yield one, how


def _close(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    _ = now
    return _end(exchange, fault, Close(1011 if fault.code is None else fault.code, "fault"))


def _abort(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    _ = now
    return _end(exchange, fault, Abort())


def _server_shutdown(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """Those who are connected hear a goodbye, and are closed when the grace is over."""
    leaving = list(exchange.hub.conversations)
    for one in leaving:
        exchange.troubles.count(fault.fault)
        yield from ((one, said) for said in one.goodbye(exchange.source.shown // 1000))

    def close() -> Iterable[Heard]:
        return [(one, Close(1001, "server shutdown")) for one in leaving]

    exchange.later(now + fault.grace_seconds, close)


def _maintenance(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    exchange.troubles.begin(fault, now)
    if fault.notice:
        yield from _server_shutdown(exchange, fault, now)
    else:
        yield from _end(exchange, fault, Abort())


def _too_many_requests(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """The session is terminated, and every request refused for a time."""
    exchange.troubles.begin(fault, now)
    said = envelope(None, refusal(10028, "too_many_requests"), exchange.source.shown)
    for one in list(exchange.hub.conversations):
        yield one, Say(said)
    yield from _end(exchange, fault, Close(1008, "too_many_requests"))


def _test_request_flood(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    for one in list(exchange.hub.conversations):
        if isinstance(one, DeribitConversation):
            exchange.troubles.count(fault.fault, fault.count)
            yield from ((one, said) for said in one.flood(fault.count, now))


def _horizon(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """From now on aggregates reach only so many seconds back."""
    _ = now
    if isinstance(exchange.rest, BinanceRest):
        exchange.rest.trades.reach_seconds = fault.seconds
    return iter(())


Deed = Callable[["SimulatedExchange", Fault, float], Iterator[Heard]]
DEEDS: dict[str, Deed] = {
    "close": _close,
    "abort": _abort,
    "server_shutdown": _server_shutdown,
    "maintenance": _maintenance,
    "too_many_requests": _too_many_requests,
    "test_request_flood": _test_request_flood,
    "horizon": _horizon,
    "clock_off": market_faults.clock_off,
    "burst": market_faults.burst,
    "listing": market_faults.listing,
    "expiry": market_faults.expiry,
    "settlement": market_faults.settlement,
    "partial_lock": market_faults.lock,
    "locked": market_faults.lock,
}

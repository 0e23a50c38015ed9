"""How a floor outlives its process: what it keeps beside the ledger, and how it goes on from both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from streamers.simulator import ledger as entries
from streamers.simulator.figures import units
from streamers.simulator.listing import MINUTE, SECOND, Listing
from streamers.simulator.tape import Print

if TYPE_CHECKING:
    from streamers.simulator.floor import Floor
    from streamers.simulator.market import Pit

OUTAGE = 24 * 60 * MINUTE
"""After a longer absence the minutes between are missing, as after a real outage."""
PATIENCE = 60 * SECOND
"""How far the ledger may lie ahead of the market clock: so long the market waits in silence."""


class ClockBehind(Exception):
    """The market clock lies far before the end of the ledger."""


def memory_of(floor: Floor) -> dict[str, Any]:
    """What a restart needs beside the ledger."""
    ledger = floor.ledger
    past = {} if floor.history is None else {"history": msgspec.to_builtins(floor.history.asked)}
    return past | {
        "listed_at": floor.listed_at,
        "listed": [msgspec.to_builtins(listing) for listing in floor.newcomers],
        "over": {symbol: floor.status_of(symbol) for symbol, pit in floor.pits.items() if pit.over},
        "pits": {symbol: {"last": pit.last, "update": pit.update} for symbol, pit in floor.pits.items()},
        "ids": [[symbol, channel, last] for (symbol, channel), last in floor.ids.items()],
        "prints": [[*key, log.last] for key, log in floor.tape.prints.items() if log.last],
        "begun": [[symbol, channel, at] for (symbol, channel), at in ledger.begun.items()],
        "ended": [[symbol, channel, last] for (symbol, channel), last in ledger.ended.items()],
    }


def recall(floor: Floor, memory: Mapping[str, Any]) -> None:
    """Take back what ``memory_of`` gave."""
    for listing in memory.get("listed", []):
        floor.admit(msgspec.convert(listing, Listing))
    for symbol, status in memory.get("over", {}).items():
        if symbol in floor.pits:
            floor.pits[symbol].over = True
            floor.mark_status(symbol, status)
    for symbol, known in memory.get("pits", {}).items():
        if symbol in floor.pits:
            floor.pits[symbol].last = known["last"]
            floor.pits[symbol].update = known["update"] + 1000
    for symbol, channel, last in memory.get("ids", []):
        if (symbol, channel) in floor.ids:
            floor.ids[symbol, channel] = last
    for symbol, channel, last in memory.get("prints", []):  # what was numbered and not yet said never was
        if (symbol, channel) in floor.ids:
            floor.ids[symbol, channel] = last["sequence"]
    for symbol, channel, at in memory.get("begun", []):
        floor.ledger.begun[symbol, channel] = at


def relive_all(
    floor: Floor, memory: Mapping[str, Any], past: Iterable[entries.Trade | entries.Candle]
) -> int:
    """Go through the ledger as if it were just printed; the newest time of it comes back."""
    newest = 0
    for entry in past:
        if entry.symbol in floor.pits:
            _relive(floor, floor.pits[entry.symbol], entry)
        if isinstance(entry, entries.Trade):
            newest = max(newest, entry.event_time)
    for symbol, channel, last in memory.get("prints", []):
        log = floor.tape.log(symbol, channel)
        if log.last is None:
            log.append(msgspec.convert(last, Print))
        if (symbol, channel) in floor.ids:  # numbers of a symbol that was given up stand in no ledger
            floor.ids[symbol, channel] = max(floor.ids[symbol, channel], last["sequence"])
    for symbol, channel, last in memory.get("ended", []):
        if floor.ledger.last.get((symbol, channel), -1) == last:
            floor.ledger.end(symbol, channel)
    return newest


def resume_minutes(floor: Floor, now: int) -> None:
    """Let every instrument's minutes go on at ``now``, or anew after a long absence."""
    for symbol, pit in floor.pits.items():
        if symbol not in floor.minutes:
            floor.begin_minutes(pit, now)
        elif now - floor.minutes[symbol].running.open_time > OUTAGE:
            floor.minutes[symbol].begin(now // MINUTE * MINUTE, pit.last)
        if not pit.over:
            pit.requote()


def _relive(floor: Floor, pit: Pit, entry: entries.Trade | entries.Candle) -> None:
    price_decimals = pit.listing.price_decimals
    if isinstance(entry, entries.Candle):
        floor.tape.close(entry.symbol, entry.row())
        if entry.symbol not in floor.minutes:
            floor.begin_minutes(pit, entry.open_time)
        floor.minutes[entry.symbol].closed_before(entry.open_time, units(entry.close, price_decimals))
        return
    floor.ids[entry.symbol, entry.channel] = entry.sequence
    floor.reprint(entry)
    pit.last = units(entry.price, price_decimals)
    if floor.ledger.counts(entry.symbol, entry.channel, floor.channels):
        if entry.symbol not in floor.minutes:
            floor.begin_minutes(pit, entry.event_time)
        quantity = units(entry.quantity, pit.listing.quantity_decimals)
        ids = (entry.first_id, entry.last_id)
        floor.count(pit, entry.event_time, pit.last, quantity, buy=entry.side == "buy", ids=ids)

"""How an exchange shows its past: the trades of a day as prints, aggregates and minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from streamers.simulator.candles import Minute
from streamers.simulator.deribit_floor import DeribitFloor
from streamers.simulator.figures import fixed, plain_units
from streamers.simulator.listing import INDICES, MILLISECOND, MINUTE, Listing
from streamers.simulator.options import Worth, worth
from streamers.simulator.past import PastDay, Run, Scope
from streamers.simulator.tape import Print, Row

if TYPE_CHECKING:
    from streamers.simulator.floor import Floor


def prints_of(floor: Floor, scope: Scope, channel: str, day: PastDay, runs: list[Run]) -> list[Print]:
    """A day's trades of one kind, by the ledger's words, ascending."""
    if isinstance(floor, DeribitFloor):
        return list(_deribit(floor, scope, day, runs))
    return list(_aggregates(floor, scope, day, runs) if channel != "trade" else _trades(floor, scope, runs))


def rows_of(floor: Floor, scope: Scope, day: PastDay, runs: Iterable[Run]) -> list[Row]:
    """A day's minutes, silent ones too."""
    pit, inverse = floor.pits[scope.listing.symbol], scope.listing.inverse
    minute = Minute(day.begin * MILLISECOND, day.opening)
    rows = []

    def up_to(time: int) -> None:
        nonlocal minute
        while minute.open_time + MINUTE <= time * MILLISECOND:
            rows.append(floor.row(pit, minute))
            minute = Minute(minute.open_time + MINUTE, minute.close)

    for run in runs:
        up_to(run.time)
        for place, quantity in enumerate(run.quantities):
            number = run.first_id + place
            minute.count(run.price, quantity, buy=run.buy, first_id=number, last_id=number, inverse=inverse)
    up_to(day.end)
    return rows


def first_price(floor: Floor, listing: Listing) -> int:
    """What the live market of an instrument begins with, in units; options begin at what they are worth."""
    if listing.strike is None:
        return int(floor.pits[listing.symbol].anchor)
    price = _worth(floor, listing, floor.listed_at).price
    ticks: int = max(round(price * 10**listing.price_decimals / listing.tick), 1)
    return ticks * listing.tick


def _trades(floor: Floor, scope: Scope, runs: list[Run]) -> Iterator[Print]:
    p, q = scope.listing.price_decimals, scope.listing.quantity_decimals
    for run in runs:
        price = floor.figure(run.price, p)
        for number, quantity in enumerate(run.quantities, run.first_id):
            yield Print(number, price, floor.figure(quantity, q), run.buy, run.time, number, number)


def _aggregates(floor: Floor, scope: Scope, day: PastDay, runs: list[Run]) -> Iterator[Print]:
    p, q = scope.listing.price_decimals, scope.listing.quantity_decimals
    for number, run in enumerate(runs, day.first_run):
        last = run.first_id + len(run.quantities) - 1
        price, quantity = floor.figure(run.price, p), floor.figure(sum(run.quantities), q)
        yield Print(number, price, quantity, run.buy, run.time, run.first_id, last)


def _deribit(floor: DeribitFloor, scope: Scope, day: PastDay, runs: list[Run]) -> Iterator[Print]:
    """With the whole object; its index is the print's own price, an option's is that of the beginning."""
    listing = scope.listing
    p, q = listing.price_decimals, listing.quantity_decimals
    before = day.opening
    for run in runs:
        for number, quantity in enumerate(run.quantities, run.first_id):
            direction = (0 if run.price > before else 1) if run.price >= before else 2
            before = run.price
            yield Print(
                number,
                fixed(run.price, p),
                fixed(quantity, q),
                run.buy,
                run.time,
                number,
                number,
                _object(floor, scope, number, run, quantity, direction),
            )


def _object(floor: DeribitFloor, scope: Scope, number: int, run: Run, quantity: int, direction: int) -> str:
    """A print of Deribit, key by key as the wire has it."""
    listing = scope.listing
    amount = plain_units(quantity, listing.quantity_decimals)
    price = plain_units(run.price, listing.price_decimals)
    contracts = plain_units(quantity // listing.step, 0) if listing.inverse else amount
    trade_id = floor.trade_id(listing.symbol, number)
    index, iv = price, ""
    if listing.strike is not None:
        index = _first_index(floor, listing)
        iv = f'"iv":{_worth(floor, listing, run.time * MILLISECOND).volatility},'
    return (
        f'{{"timestamp":{run.time},{iv}"price":{price},"amount":{amount},'
        f'"direction":"{"buy" if run.buy else "sell"}","index_price":{index},'
        f'"instrument_name":"{listing.symbol}","trade_seq":{number},"mark_price":{price},'
        f'"tick_direction":{direction},"contracts":{contracts},"trade_id":"{trade_id}"}}'
    )


def _worth(floor: Floor, listing: Listing, time: int) -> Worth:
    """Of an option, were the index what it is at the market's beginning."""
    assert listing.strike is not None
    assert listing.expiry is not None
    call = listing.option_type == "call"
    return worth(float(_first_index(floor, listing)), listing.strike, listing.expiry, time, call=call)


def _first_index(floor: Floor, listing: Listing) -> str:
    """An index at the market's beginning, as the floor counts it."""
    pit = floor.pits[INDICES[listing.index]]
    return plain_units(pit.anchor * 100 // 10**pit.listing.price_decimals - pit.anchor // 200_000, 2)

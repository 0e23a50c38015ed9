"""What an exchange lists while it runs, and what it takes off its list."""

from __future__ import annotations

from streamers.simulator.floor import Floor
from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM, DERIBIT, INDICES, MINUTE, Listing
from streamers.simulator.market import Pit

ENDED = {BINANCE_SPOT: "BREAK", BINANCE_USDM: "SETTLING", DERIBIT: "delivered"}
"""What an exchange calls an instrument that trades no more."""
ORDERS_PER_SECOND = 1.0


def list_new(floor: Floor) -> Pit:
    """One more instrument, open from now on."""
    number = len(floor.newcomers) + 1
    pit = floor.admit(_deribit(floor, number) if floor.exchange == DERIBIT else _binance(floor, number))
    floor.begin_minutes(pit, floor.shown // MINUTE * MINUTE)
    floor.valued(pit, floor.now)
    floor.start(pit, floor.now)
    for stream in floor.hub.heard():  # some asked for it, or for all of its kind, before it was there
        floor.listened(stream, floor.shown)
    floor.ledger.turned = True
    return pit


def expire(floor: Floor, pit: Pit) -> None:
    """Its last trade is done."""
    floor.settle(floor.now)
    floor.stop(pit)
    floor.mark_status(pit.listing.symbol, ENDED[floor.exchange])
    floor.ledger.turned = True


def expiring(floor: Floor, symbol: str = "") -> list[Pit]:
    """Who can expire, the least traded first; nothing an index lives on."""
    if symbol:
        return [pit for name, pit in floor.pits.items() if name == symbol and not pit.over]
    able = [
        pit
        for name, pit in floor.pits.items()
        if not pit.over and pit.listing.orders_per_second and name not in INDICES.values()
    ]
    return sorted(able, key=lambda pit: (pit.listing.expiry is None, pit.listing.orders_per_second))


def _binance(floor: Floor, number: int) -> Listing:
    spot = floor.exchange == BINANCE_SPOT
    return Listing(
        symbol=f"NEW{number}USDT",
        base=f"NEW{number}",
        quote="USDT",
        settlement="" if spot else "USDT",
        kind="spot" if spot else "perpetual",
        price_decimals=4,
        quantity_decimals=1,
        price=1.25,
        orders_per_second=ORDERS_PER_SECOND,
        swing=3.0,
        size=800.0,
    )


def _deribit(floor: Floor, number: int) -> Listing:
    """An option of the quarter that is listed, at a strike that was not."""
    model = next(one.listing for one in floor.pits.values() if one.listing.strike is not None)
    strike, letter = 83_000 + 1_000 * (number // 2) * 2, "CP"[number % 2]
    head = model.symbol.rsplit("-", 2)[0]
    return Listing(
        symbol=f"{head}-{strike}-{letter}",
        base=model.base,
        quote=model.quote,
        settlement=model.settlement,
        kind="option",
        price_decimals=model.price_decimals,
        tick=model.tick,
        quantity_decimals=model.quantity_decimals,
        contract_size=model.contract_size,
        price=0.0,
        orders_per_second=ORDERS_PER_SECOND,
        size=model.size,
        status="open",
        index=model.index,
        expiry=model.expiry,
        strike=strike,
        option_type={"C": "call", "P": "put"}[letter],
        number=500_000 + number,
    )

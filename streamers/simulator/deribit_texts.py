"""Deribit's JSON objects, key by key as the wire has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamers.simulator.figures import plain, plain_units
from streamers.simulator.ladder import ladder
from streamers.simulator.market import Pit
from streamers.simulator.tape import Row

if TYPE_CHECKING:
    from streamers.simulator.deribit_floor import DeribitFloor


def trade_text(
    floor: DeribitFloor,
    pit: Pit,
    number: int,
    trade_id: str,
    price: int,
    quantity: int,
    time: int,
    direction: int,
    *,
    buy: bool,
    more: str,
) -> str:
    """A print, the same object in channels and in REST."""
    listing = pit.listing
    amount = plain_units(quantity, listing.quantity_decimals)
    contracts = plain_units(quantity // listing.step, 0) if listing.inverse else amount
    iv = f'"iv":{floor.worth(pit).volatility},' if listing.strike is not None else ""
    return (
        f'{{"timestamp":{time},{iv}"price":{plain_units(price, listing.price_decimals)},"amount":{amount},'
        f'"direction":"{"buy" if buy else "sell"}","index_price":{floor.index(listing.index)},'
        f'"instrument_name":"{listing.symbol}","trade_seq":{number},"mark_price":{floor.mark(pit)},'
        f'"tick_direction":{direction},"contracts":{contracts},"trade_id":"{trade_id}"{more}}}'
    )


def chart_text(row: Row) -> str:
    """A candle of ``chart.trades``."""
    return (
        f'{{"tick":{row.open_time},"open":{plain(row.open)},"high":{plain(row.high)},"low":{plain(row.low)},'
        f'"close":{plain(row.close)},"volume":{plain(row.volume)},"cost":{plain(row.quote_volume)}}}'
    )


def sides(pit: Pit) -> tuple[str, str, str, str]:
    """(bid, its amount, ask, its amount); an option's side is empty now and then."""
    listing = pit.listing
    p, q = listing.price_decimals, listing.quantity_decimals
    bid = (plain_units(pit.bid, p), plain_units(pit.bid_size, q))
    ask = (plain_units(pit.ask, p), plain_units(pit.ask_size, q))
    if listing.strike is not None and pit.update % 11 == 0:
        bid = ("null", "0.0")
    if listing.strike is not None and pit.update % 17 == 0:
        ask = ("null", "0.0")
    return *bid, *ask


def quote_text(floor: DeribitFloor, pit: Pit, time: int) -> str:
    """Best bid and ask."""
    bid, bid_amount, ask, ask_amount = sides(pit)
    _ = floor
    return (
        f'{{"timestamp":{time},"instrument_name":"{pit.listing.symbol}","best_bid_price":{bid},'
        f'"best_bid_amount":{bid_amount},"best_ask_price":{ask},"best_ask_amount":{ask_amount}}}'
    )


def book_text(floor: DeribitFloor, pit: Pit, time: int, depth: int, *, typed: bool) -> str:
    """A whole book down to ``depth`` levels; ``typed`` as the snapshot of an incremental channel."""
    mark = '"new",' if typed else ""
    kind = '"type":"snapshot",' if typed else ""
    bids, asks = (
        ",".join(f"[{mark}{price},{amount}]" for price, amount in side) for side in ladder(floor, pit, depth)
    )
    return (
        f'{{{kind}"timestamp":{time},"instrument_name":"{pit.listing.symbol}","change_id":{pit.update},'
        f'"bids":[{bids}],"asks":[{asks}]}}'
    )


def ticker_text(floor: DeribitFloor, pit: Pit, time: int) -> str:
    """The full object of ``ticker``, of ``public/ticker`` and of the lower half of ``get_order_book``."""
    listing, day = pit.listing, floor.day(pit)
    bid, bid_amount, ask, ask_amount = sides(pit)
    volume_usd = plain(day.quote_volume)
    last = plain_units(pit.last, listing.price_decimals)
    index = floor.index(listing.index)
    special = ""
    if listing.kind == "perpetual":
        funding = floor.funding(pit)
        special = f',"current_funding":{funding},"funding_8h":{funding},"interest_value":{funding}'
    if listing.strike is not None:
        value = floor.worth(pit)
        bid_iv = 0.0 if bid == "null" else round(value.volatility - 0.6, 2)
        ask_iv = 0.0 if ask == "null" else round(value.volatility + 0.6, 2)
        special = (
            f',"underlying_price":{index},"underlying_index":"index_price","interest_rate":0.0,'
            f'"mark_iv":{value.volatility},"bid_iv":{bid_iv},"ask_iv":{ask_iv},'
            f'"greeks":{{"delta":{value.delta},"gamma":{value.gamma},"rho":{value.rho},"theta":{value.theta},'
            f'"vega":{value.vega}}}'
        )
    interest = plain_units(50_000_000 + pit.update % 100_000 * listing.step, listing.quantity_decimals)
    return (
        f'{{"timestamp":{time},"state":"open","stats":{{"high":{plain(day.high)},"low":{plain(day.low)},'
        f'"price_change":{day.percent},"volume":{plain(day.volume)},"volume_usd":{volume_usd},'
        f'"volume_notional":{volume_usd}}},"index_price":{index},"instrument_name":"{listing.symbol}",'
        f'"last_price":{last},"settlement_price":{plain(day.open)},"min_price":{plain(day.low)},'
        f'"max_price":{plain(day.high)},"open_interest":{interest},"mark_price":{floor.mark(pit)},'
        f'"best_ask_price":{ask},"best_bid_price":{bid},"estimated_delivery_price":{index},'
        f'"best_ask_amount":{ask_amount},"best_bid_amount":{bid_amount}{special}}}'
    )

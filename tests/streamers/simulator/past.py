"""Markets with a past, in memory; and the oracle of such a past beside what a table holds of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
import psycopg

from streamers.simulator.assembly import FLOORS
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.history import History, HistoryAsked
from streamers.simulator.hub import Hub
from streamers.simulator.listing import listings
from streamers.simulator.past import DAY_MS
from streamers.simulator.tape import Print
from streamers.simulator.unheard import WholeLedger
from tests.streamers.simulator.conftest import START, Wire

DAYS = 3
KEYS = ("binance_spot", "binance_usdm", "deribit")
SYMBOL = {"binance_spot": "BTCUSDT", "binance_usdm": "BTCUSDT", "deribit": "BTC-PERPETUAL"}
TRADES = {
    "binance_spot": ["btcusdt@trade", "btcusdt@aggTrade"],
    "binance_usdm": ["btcusdt@aggTrade", "btcusdt@trade"],
    "deribit": ["trades.BTC-PERPETUAL.100ms"],
}
CHANNELS = {
    "binance_spot": ("trade", "aggregate_trade"),
    "binance_usdm": ("aggregate_trade", "trade"),
    "deribit": ("trade",),
}
MINUTE_MS = 60_000
FIRST = START // 1000 // DAY_MS * DAY_MS - DAYS * DAY_MS
"""Where the past begins, milliseconds UTC."""


def with_past(key: str, days: int = DAYS, rate: int = 400, seed: int = 7) -> SimulatedExchange:
    hub, ledger = Hub(), WholeLedger()
    floor = FLOORS[key](key, listings(key, START), seed=seed, hub=hub, ledger=ledger)
    floor.listed_at = START
    floor.history = History(floor, HistoryAsked(days=days, rate=rate, seed=seed))
    floor.open(START)
    return SimulatedExchange(floor, hub, ledger, reach_hours=24.0 * (days + 1))


QUERY = """
select sequence, price, quantity, side::text, (extract(epoch from event_time) * 1000000)::bigint
from trade join instrument using (instrument_id)
where exchange = %(exchange)s and symbol = %(symbol)s
  and (flags & 1 = 1) = (%(channel)s::text = 'aggregate_trade')
  and event_time >= %(day)s::date::timestamp at time zone 'UTC'
  and event_time < (%(day)s::date + 1)::timestamp at time zone 'UTC'
order by sequence
"""


class Told(NamedTuple):
    """A day of one instrument: equal for both sides where every row is equal."""

    count: int
    first: int | None
    last: int | None
    checksum: str


def told(rest: str, symbol: str, day: str, channel: str = "trade") -> Told:
    """What the simulator printed; ``rest`` as in its run file, ``day`` as 2026-11-22."""
    query = urlencode({"symbol": symbol, "day": day})
    with urlopen(f"{rest}/simulator/history?{query}") as answer:
        said = msgspec.json.decode(answer.read())["channels"][channel]
    return Told(said["count"], said["first"], said["last"], said["checksum"])


def held(
    connection: psycopg.Connection, exchange: str, symbol: str, day: str, channel: str = "trade"
) -> Told:
    """What the table of trades holds."""
    parameters = {"exchange": exchange, "symbol": symbol, "day": day, "channel": channel}
    return summed(connection.execute(QUERY, parameters))


def summed(rows: Iterable[tuple[int, Decimal | str, Decimal | str, str, int]]) -> Told:
    """Of (sequence, price, quantity, taker's side, microseconds UTC), ascending."""
    digest, numbers = hashlib.sha256(), []
    for sequence, price, quantity, side, time in rows:
        numbers.append(sequence)
        figures = ",".join(f"{Decimal(figure).normalize():f}" for figure in (price, quantity))
        digest.update(f"{sequence},{figures},{side},{time}\n".encode())
    return Told(
        len(numbers), numbers[0] if numbers else None, numbers[-1] if numbers else None, digest.hexdigest()
    )


def whole(one: Wire, channel: str, symbol: str = "") -> list[Print]:
    tape = one.exchange.source.tape
    return list(tape.log(symbol or SYMBOL[one.exchange.key], channel).ascending())


def ask(one: Wire, path: str, now: float, **query: Any) -> Any:
    answer = one.exchange.answer("GET", path, {name: str(value) for name, value in query.items()}, now)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def iso(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"

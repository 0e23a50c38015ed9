"""An account whose exchange tells the week of ``account_week``, its books in PostgreSQL, and a processor."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from redis import Redis

from tests.adapters.database.booking import ACCOUNT, add_account, as_owner
from tests.domain.account_week import ASKED, Week
from trade_platform.adapters.bus import ACCOUNT_KIND_OF, account_stream
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.books import Owner, write
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.roles import ACCOUNTS, become
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.domain.accounts import AccountRecord, Movement, OrderEvent, Origin
from trade_platform.domain.difference import Subject
from trade_platform.domain.reconciliation import rows_of
from trade_platform.exchanges.account import Ask, Known, Page, PrivateRequest
from trade_platform.operations.account_desk import AccountDesk
from trade_platform.processors.books import BooksDrain
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan

_INSTRUMENT = """
INSERT INTO instrument (exchange, symbol, kind, base, quote, settlement, quantity_unit)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_CANDLE = """
INSERT INTO candle (
    instrument_id, interval, open_time, source, close, volume, quote_volume, complete, receive_time
)
SELECT instrument_id, '1h', at, 'exchange', %s, 0, 0, true, at
FROM instrument, generate_series(%s::timestamptz, %s::timestamptz, '1 hour') AS at
WHERE base = %s AND exchange = %s
"""


class Told:
    """An exchange, as far as a reconciliation asks it, and who performs the questions."""

    websocket_url = rest_url = ""
    maximum_age_seconds = None
    limits = ()

    def __init__(self, week: Week) -> None:
        self.key = week.exchange
        self.week = week
        self.failing: set[str] = set()
        """Subjects that get no answer, and ids of orders."""
        self.remembered = 0
        """Nothing is told of before."""
        self.looked_up: dict[str, OrderEvent] = {}
        """What is told of a single order."""
        self.asked: list[str] = []

    def _ask(self, what: str) -> list[Ask]:
        return [Ask(what=what, request=PrivateRequest(path="/"), read=lambda *_: Page())]

    def open_orders(self) -> list[Ask]:
        return self._ask(Subject.OPEN_ORDERS)

    def balances(self) -> list[Ask]:
        return self._ask(Subject.BALANCES)

    def positions(self) -> list[Ask]:
        return [] if self.key == "binance_spot" else self._ask(Subject.POSITIONS)

    def orders(self, known: Known, since: int, until: int) -> list[Ask]:
        return self._ask(f"{Subject.ORDERS} {since} {until}")

    def fills(self, known: Known, since: int, until: int) -> list[Ask]:
        return self._ask(f"{Subject.FILLS} {since} {until}")

    def movements(self, known: Known, since: int, until: int) -> list[Ask]:
        return self._ask(f"{Subject.MOVEMENTS} {since} {until}")

    def order(self, symbol: str, order_id: str) -> list[Ask]:
        return self._ask(f"order {order_id}")

    def reach(self, what: str, now: int) -> int:
        return self.remembered

    async def all(self, ask: Ask) -> list[AccountRecord]:
        what, *rest = ask.what.split(" ")
        self.asked.append(what)
        if what in self.failing:
            raise RestUnavailable(f"{self.key} gave no answer")
        if what == "order":
            return [self.looked_up[rest[0]]] if rest[0] in self.looked_up else []
        told = self.week.told()
        if what == Subject.OPEN_ORDERS:
            return [_later(one, Origin.SNAPSHOT) for one in told.open_orders]
        found = [_later(one, Origin.HISTORY) for one in rows_of(Subject(what), told.books)]
        if rest:
            since, until = map(int, rest)
            found = [one for one in found if since <= one.event_time < until]
        return found


def _later(record: Any, origin: Origin) -> Any:
    """The same word, received by REST."""
    return msgspec.structs.replace(record, origin=origin, receive_time=ASKED)


class StandingClock:
    """Market time stands still a minute after the week."""

    def market(self) -> int:
        return ASKED

    def monotonic(self) -> float:
        return WallClock().monotonic()


def opened(connection: Connection, week: Week, key: str = ACCOUNT) -> Owner:
    """An account, and the instruments and prices of its exchange."""
    owner = add_account(connection, key, week.exchange)
    kind = "spot" if "spot" in week.exchange else "perpetual"
    for symbol, terms in week.valuation.terms.items():
        unit = "quote" if terms.inverse else "base"
        values = (week.exchange, symbol, kind, terms.base, terms.quote, terms.settlement, unit)
        connection.execute(_INSTRUMENT, values)
    if kind == "spot":
        connection.execute(_INSTRUMENT, (week.exchange, "BNBUSDT", kind, "BNB", "USDT", "USDT", "base"))
    for base, price in week.valuation.prices.items():
        connection.execute(_CANDLE, (price, "2026-09-20", "2026-09-29", base, week.exchange))
    return owner


def keep(connection: Connection, owner: Owner, records: Iterable[AccountRecord]) -> None:
    """Into the books, as the processor does it."""
    kinds: dict[str, list[AccountRecord]] = {}
    for record in records:
        kinds.setdefault(ACCOUNT_KIND_OF[type(record)], []).append(record)
    for kind, same in kinds.items():
        with as_owner(connection, owner):
            write(connection, owner, kind, same)


def without(week: Week, *gone: AccountRecord) -> list[AccountRecord]:
    """The week's stream, but for these."""
    return [event for event in week.events if not any(event is one for one in gone)]


def no_ledger(events: Sequence[AccountRecord]) -> list[AccountRecord]:
    """As an exchange streams it that tells its ledger by REST alone."""
    return [event for event in events if not isinstance(event, Movement)]


@contextmanager
def desk_of(
    postgres_url: str, redis_url: str, owner: Owner, told: Told, *, stored: bool = True, key: str = ACCOUNT
) -> Iterator[AccountDesk]:
    """A desk, and the processor of the account's stream unless nobody is to store."""
    with connect(postgres_url, name="desk") as connection, Redis.from_url(redis_url) as bus:
        become(connection, ACCOUNTS)
        patience = 30.0 if stored else 0.3
        desk: Any = AccountDesk
        made = desk(connection, bus, owner, key, told, told, StandingClock(), patience_seconds=patience)
        if not stored:
            yield made
            return
        with _processor(postgres_url, redis_url, owner, account_stream(told.key, key)):
            yield made


@contextmanager
def _processor(postgres_url: str, redis_url: str, owner: Owner, stream: str) -> Iterator[None]:
    plan = Plan(stream=stream, database_url=postgres_url, redis_url=redis_url, process_name="test")
    stop = threading.Event()
    with connect(postgres_url, name="processor") as connection:
        become(connection, ACCOUNTS)
        drain = BooksDrain(plan, connection, WallClock(), Meters(stream, CollectorRegistry()), owner)

        def turn() -> None:
            while not stop.is_set():
                drain.turn()

        thread = threading.Thread(target=turn)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            drain.close()

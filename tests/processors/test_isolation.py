"""What cannot be read, and what PostgreSQL refuses, goes to dead_letter; the rest is stored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from redis import Redis

from tests.processors.feeding import NOON, STREAM, emptied, entry, number, raw, tables, trade
from trade_platform.adapters.bus import Entry
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import DAY, Trade
from trade_platform.processors.drain import Drain
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan

POISON = [
    trade(2, symbol="nul\x00"),
    trade(2, price=Decimal("NaN")),
    trade(2, quantity=Decimal("Infinity")),
    trade(2**63),
    trade(2, event_time=-(10**15)),
    trade(2, event_time=NOON + 3000 * DAY),
    trade(2, event_time=10**18),
    trade(2, receive_time=10**18),
    trade(2, flags=10**6),
    trade(2, flags=-1),
    trade(2, first_id=2**63),
    trade(2, last_id=2**64 + 1),
    trade(2, trade_id="nul\x00"),
]


@pytest.fixture
def drain(connection: Connection, postgres_url: str, redis_url: str) -> Iterator[Drain]:
    made = made_drain(connection, postgres_url, redis_url)
    yield made
    made.close()


def made_drain(connection: Connection, database_url: str, redis_url: str) -> Drain:
    plan = Plan(stream=STREAM, database_url=database_url, redis_url=redis_url, process_name="test")
    return Drain(plan, connection, WallClock(), Meters(STREAM, CollectorRegistry()))


def add(redis_url: str, *entries: Entry) -> None:
    with Redis.from_url(redis_url) as client:
        for one in entries:
            client.xadd(STREAM, one.fields())  # type: ignore[arg-type]


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_a_refused_record_stands_alone_and_the_rest_is_stored(
    drain: Drain, connection: Connection, redis_url: str, poison: Trade
) -> None:
    add(redis_url, entry([trade(1), poison, trade(3)]), entry([number()], 2), entry([trade(4)], 3))
    drain.turn()
    found = tables(connection)
    assert [row[2] for row in found["trade"]] == [1, 3, 4]
    assert len(found["number"]) == 1
    [(_, position, kind, exchange, data, error)] = found["dead_letter"]
    assert (position, kind, exchange) == (1, "trade", "binance_spot")
    assert msgspec.json.decode(data, type=list[Trade])[0].sequence == poison.sequence
    assert error
    assert found["gap"] == []


def test_two_records_that_refuse_each_other(drain: Drain, connection: Connection, redis_url: str) -> None:
    """A raw and an aggregate trade of one number and instant: the table's key takes one of them."""
    add(redis_url, entry([trade(1), trade(2)]), entry([trade(2, flags=1)], 2))
    drain.turn()
    assert [row[2] for row in tables(connection)["trade"]] == [1, 2]
    assert len(tables(connection)["dead_letter"]) == 1


def test_an_entry_that_cannot_be_read_is_one_letter(
    drain: Drain, connection: Connection, redis_url: str
) -> None:
    with Redis.from_url(redis_url) as client:
        client.xadd(STREAM, {"what": "is this", b"\xff": b"\x00"})
        client.xadd(STREAM, {**raw(entry([trade(1)])), b"data": b"[[1,2"})  # type: ignore[dict-item]
        client.xadd(STREAM, {**raw(entry([trade(1)], 2)), b"kind": b"unheard of"})  # type: ignore[dict-item]
    add(redis_url, entry([trade(5)], 3))
    drain.turn()
    found = tables(connection)
    assert [row[1] for row in found["dead_letter"]] == [-1, -1, -1]
    assert [row[2] for row in found["trade"]] == [5]
    assert found["gap"] == [], "batches 1 and 2 came: their letters say what became of them"


def test_of_an_entry_with_an_unreadable_record_the_others_are_stored(
    drain: Drain, connection: Connection, redis_url: str
) -> None:
    good = entry([trade(1), trade(2), trade(3)])
    bad = msgspec.structs.replace(good, data=good.data.replace(b'"buy"', b'"maybe"', 1))
    add(redis_url, bad)
    drain.turn()
    found = tables(connection)
    assert [row[2] for row in found["trade"]] == [2, 3]
    assert [(row[1], b'"maybe"' in row[4]) for row in found["dead_letter"]] == [(0, True)]


def test_a_partition_that_was_dropped_comes_back(
    drain: Drain, connection: Connection, redis_url: str
) -> None:
    """Retention and a late record: numbers, whose insert finds no partition."""
    add(redis_url, entry([number()]))
    drain.turn()
    [name] = connection.execute("SELECT tableoid::regclass::text FROM number").fetchone() or ()
    connection.execute(f"DROP TABLE {name}")
    add(redis_url, entry([number(NOON + 1)], 2))
    drain.turn()
    assert len(tables(connection)["number"]) == 1
    assert tables(connection)["dead_letter"] == []


@given(st.lists(st.sampled_from(["good", "poison", "broken"]), min_size=1, max_size=12))
@settings(max_examples=15)
def test_wherever_the_poison_is_all_else_is_stored(
    two_databases: tuple[str, str], shared_redis_url: str, kinds: list[str]
) -> None:
    stream = f"market:poison{os.getpid()}"
    with connect(two_databases[0], name="poison") as connection, Redis.from_url(shared_redis_url) as client:
        client.delete(stream)
        emptied(connection)
        for n, kind in enumerate(kinds, 1):
            records = [trade(2 * n, quantity=Decimal(1 if kind == "good" else -1)), trade(2 * n + 1)]
            fields = raw(entry(records, n))
            if kind == "broken":
                fields[b"data"] = b"broken"
            client.xadd(stream, fields)  # type: ignore[arg-type]
        plan = Plan(stream=stream, database_url="", redis_url=shared_redis_url, process_name="test")
        drain = Drain(plan, connection, WallClock(), Meters(stream, CollectorRegistry()))
        drain.turn()
        drain.close()
        client.delete(stream)
        stored = {row[2] for row in tables(connection)["trade"]}
        letters = len(tables(connection)["dead_letter"])
    of = {"good": (0, 1), "poison": (1,), "broken": ()}
    assert stored == {2 * n + part for n, kind in enumerate(kinds, 1) for part in of[kind]}
    assert letters == sum(kind != "good" for kind in kinds)


def test_without_isolation_one_record_stops_all(
    connection: Connection, postgres_url: str, redis_url: str
) -> None:
    plan = Plan(
        stream=STREAM,
        database_url=postgres_url,
        redis_url=redis_url,
        process_name="test",
        without=frozenset({Defence.ISOLATION}),
    )
    drain = Drain(plan, connection, WallClock(), Meters(STREAM, CollectorRegistry()))
    add(redis_url, entry([trade(1), POISON[1]]))
    with pytest.raises(psycopg.errors.CheckViolation):
        drain.turn()
    drain.close()
    assert tables(connection)["trade"] == []

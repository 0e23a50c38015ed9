"""The loop around a drain, in this process: health, outages, what it does not wait for."""

from __future__ import annotations

import threading

import msgspec
import psycopg
import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from tests.processors.feeding import STREAM, Feeder, entry, held, trade, until
from trade_platform.adapters.bus import STATE_STREAM
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.connection import connect
from trade_platform.domain.defences import Defence
from trade_platform.processors.engine import Engine
from trade_platform.processors.meters import Meters
from trade_platform.processors.outage import CAP_SECONDS, Outage
from trade_platform.processors.plan import Plan


def plan(database_url: str, redis_url: str = "redis://127.0.0.1:1/0", stream: str = STREAM) -> Plan:
    return Plan(stream=stream, database_url=database_url, redis_url=redis_url, process_name="engine")


def engine(of: Plan) -> Engine:
    return Engine(of, WallClock(), Meters(of.stream, CollectorRegistry()), lambda: None)


def test_health_names_the_server_that_is_away_and_the_engine_stops_all_the_same(postgres_url: str) -> None:
    """Redis cannot be reached; the stream is owned nevertheless."""
    one = engine(plan(postgres_url))
    thread = threading.Thread(target=one.run)
    thread.start()
    until(lambda: not one.health().ok, "the outage shows")
    assert one.health().reason.startswith("Redis cannot be used: ")
    assert one.health().details["role"] == "owner"
    one.stopping.set()
    thread.join(30)
    assert not thread.is_alive()


def test_what_no_waiting_heals_is_raised(postgres_url: str, redis_url: str) -> None:
    with connect(postgres_url, name="test") as connection:
        connection.execute("ALTER TABLE producer_position RENAME COLUMN n TO m")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        engine(plan(postgres_url, redis_url)).run()


_FAILING = """
CREATE SEQUENCE failures;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('failures') <= 3 THEN RAISE EXCEPTION 'said by the test' USING ERRCODE = '{}'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER failing BEFORE INSERT ON coverage FOR EACH ROW EXECUTE FUNCTION fail()
"""


@pytest.mark.parametrize("state", ["40P01", "40001", "53100", "57014", "55P03"])
def test_what_passes_is_tried_again_and_the_stream_stays_owned(
    postgres_url: str, redis_url: str, state: str
) -> None:
    """Deadlock, serialization, a full disk, a statement and a lock that took too long."""
    with connect(postgres_url, name="test") as connection, Redis.from_url(redis_url) as client:
        connection.execute(_FAILING.format(state))
        client.xadd(STREAM, entry([trade(1)]).fields())  # type: ignore[arg-type]
        one = engine(plan(postgres_url, redis_url))
        thread = threading.Thread(target=one.run)
        thread.start()
        owner = "SELECT count(*), min(pid) FROM pg_stat_activity WHERE application_name = 'engine'"
        until(lambda: one.health().details["role"] == "owner", "it owns the stream")
        before = connection.execute(owner).fetchone()
        until(lambda: held(connection) == 1, "the trade is stored")
        assert connection.execute(owner).fetchone() == before
        one.stopping.set()
        thread.join(30)
        assert connection.execute("SELECT count(*) FROM trade").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
        assert connection.execute("SELECT last_value FROM failures").fetchone() == (4,)


def test_without_reconnection_a_lost_server_is_the_end(postgres_url: str, redis_url: str) -> None:
    frail = msgspec.structs.replace(plan(postgres_url, redis_url), without=frozenset({Defence.RECONNECTION}))
    one = engine(frail)
    ended: list[BaseException] = []

    def run() -> None:
        try:
            one.run()
        except psycopg.OperationalError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: one.health().details["role"] == "owner", "it owns the stream")
    with connect(postgres_url, name="test") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'engine'"
        )
    thread.join(30)
    assert ended


def test_what_it_remembers_is_told(postgres_url: str, redis_url: str) -> None:
    one = engine(plan(postgres_url, redis_url))
    assert list(one.holdings()) == []
    thread = threading.Thread(target=one.run)
    thread.start()
    until(lambda: list(one.holdings()), "the owner tells what it holds")
    names = [held.name for held in one.holdings()]
    assert len(set(names)) == len(names) > 5
    assert all(held.size <= held.bound for held in one.holdings())
    one.stopping.set()
    thread.join(30)


def test_market_data_does_not_wait_for_the_disk_and_events_do() -> None:
    assert plan("").synchronous_commit == "off"
    assert plan("", stream=STATE_STREAM).synchronous_commit == "on"


def test_an_outage_is_waited_out_ever_longer_and_forgotten() -> None:
    outage = Outage("PostgreSQL")
    delays = [outage.begins("refused") for _ in range(12)]
    assert delays[0] < 0.2
    assert all(CAP_SECONDS * 0.7 < delay < CAP_SECONDS * 1.3 for delay in delays[-4:])
    assert outage.reason == "PostgreSQL cannot be used: refused"
    outage.ends()
    assert outage.reason == ""
    assert outage.begins("again") < 0.2


def test_a_partition_of_trades_that_retention_dropped_comes_back(feeder: Feeder) -> None:
    """The copy finds no table: the engine loads its lane anew, which makes it."""
    feeder.apply(entry([trade(1)]))
    [name] = feeder.connection.execute("SELECT tableoid::regclass::text FROM trade").fetchone() or ()
    feeder.connection.execute(f"DROP TABLE {name}")
    with pytest.raises(psycopg.errors.UndefinedTable):
        feeder.apply(entry([trade(2)], 2))
    feeder.load()
    assert feeder.apply(entry([trade(2)], 2)).rows["trade"] == 1

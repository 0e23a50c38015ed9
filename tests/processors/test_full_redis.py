"""A full Redis refuses entries and the cache alike: only the processor's trimming makes room again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis
from redis.exceptions import ResponseError

from tests.processors.feeding import NOON, STREAM, entry, number, trade
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.positions import PositionMoved, make_durable
from trade_platform.adapters.embedded import Server
from trade_platform.processors.drain import Drain
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan


@pytest.fixture
def server(redis_server: Callable[..., Server]) -> Server:
    return redis_server("full")


@pytest.fixture
def client(server: Server) -> Iterator[Redis]:
    with Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def drain(connection: Connection, server: Server, registry: CollectorRegistry) -> Iterator[Drain]:
    plan = Plan(stream=STREAM, database_url="", redis_url=server.url, process_name="test")
    made = Drain(plan, connection, WallClock(), Meters(STREAM, registry))
    yield made
    made.close()


def fill(client: Redis) -> int:
    """Until Redis refuses; returns the next n."""
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used + 3_000_000)
    n = 0
    while True:
        n += 1
        records = [trade(100 * n + k, NOON + k) for k in range(100)] if n % 2 else [number(NOON + n)]
        try:
            client.xadd(STREAM, entry(records, n).fields())  # type: ignore[arg-type]
        except ResponseError:
            return n


def test_a_full_redis_is_usable_again_once_its_entries_are_stored(drain: Drain, client: Redis) -> None:
    """All of them are younger than the window."""
    n = fill(client)
    newest = client.xinfo_stream(STREAM)["last-generated-id"].decode()
    while drain.lane.position != newest:
        drain.turn()
    drain._trim_at = 0.0
    drain.turn()
    client.xadd(STREAM, entry([trade(1)], n).fields())  # type: ignore[arg-type]


def test_the_cache_that_redis_refuses_holds_nothing_up(
    drain: Drain, client: Redis, registry: CollectorRegistry
) -> None:
    client.xadd(STREAM, entry([number()]).fields())  # type: ignore[arg-type]
    client.config_set("maxmemory", 1)
    drain.turn()
    drain.turn()
    assert registry.get_sample_value("processor_latest_refused_total", {"stream": STREAM}) == 1
    assert drain.lane.position != "0-0"


def test_what_is_trimmed_is_on_the_disk(drain: Drain, connection: Connection, client: Redis) -> None:
    client.xadd(STREAM, entry([trade(1)]).fields())  # type: ignore[arg-type]
    drain.turn()
    connection.execute("SET synchronous_commit = off")
    connection.execute("CREATE TABLE late ()")
    [late] = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or ()
    make_durable(connection, STREAM, drain.lane.position)
    durable = "SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn"
    assert connection.execute(durable, (late,)).fetchone() == (True,)
    with pytest.raises(PositionMoved):
        make_durable(connection, STREAM, "1-1")


def test_nothing_is_trimmed_that_the_disk_may_not_hold(
    drain: Drain, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position is made durable first, or nothing is trimmed."""

    def lose(*_: object) -> None:
        raise PositionMoved("lost")

    monkeypatch.setattr("trade_platform.processors.drain.make_durable", lose)
    fill(client)
    length = client.xlen(STREAM)
    with pytest.raises(PositionMoved):
        drain.turn()
    assert client.xlen(STREAM) == length


def test_what_was_deleted_before_it_was_stored_is_a_gap(
    drain: Drain, connection: Connection, client: Redis
) -> None:
    """By hand, and of producers that say nothing more: no jump of a count would show it."""
    client.xadd(STREAM, entry([trade(1)]).fields())  # type: ignore[arg-type]
    level(drain)
    for n in (1, 2, 3):
        client.xadd(STREAM, entry([trade(10 + n)], n, producer="gone:1").fields())  # type: ignore[arg-type]
    client.xtrim(STREAM, maxlen=0, approximate=False)
    client.xadd(STREAM, entry([trade(2)], 2).fields())  # type: ignore[arg-type]
    level(drain)
    level(drain)
    gaps = connection.execute("SELECT exchange, symbol, reason, detail FROM gap").fetchall()
    detail = f"3 entries were deleted from {STREAM} before they were stored"
    assert gaps == [("binance_spot", None, "bus", detail)]


def test_what_a_producer_s_count_shows_is_not_told_twice(
    drain: Drain, connection: Connection, client: Redis
) -> None:
    client.xadd(STREAM, entry([trade(1)]).fields())  # type: ignore[arg-type]
    level(drain)
    client.xadd(STREAM, entry([trade(2)], 2).fields())  # type: ignore[arg-type]
    client.xtrim(STREAM, maxlen=0, approximate=False)
    client.xadd(STREAM, entry([trade(3)], 3).fields())  # type: ignore[arg-type]
    level(drain)
    level(drain)
    assert [row[0] for row in connection.execute("SELECT detail FROM gap")] == [
        f"batch 2 of streamer:1 did not arrive on {STREAM}"
    ]


def level(drain: Drain) -> None:
    """Everything is read, and looked at."""
    while True:
        drain._look_at = 0.0
        drain.turn()
        if drain.lane.position == drain._reader.end().last_id:
            return

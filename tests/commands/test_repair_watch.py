"""The process that repairs, as /healthz sees it."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from tests.operations.test_control import print_at
from tests.processors.feeding import Feeder, entry
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.gaps import EVERYTHING
from trade_platform.commands.repair_watch import STUCK_SECONDS, RepairMeters, Watch
from trade_platform.operations.desk import Desk
from trade_platform.settings import Settings


async def test_a_pass_over_a_long_hole_is_not_stuck(
    postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lasts for hours and asks PostgreSQL all the time; one that asks nothing any more is stuck."""
    watch = Watch(Settings(), EVERYTHING, 2, asyncio.Event(), RepairMeters(CollectorRegistry()))
    now = time.monotonic()
    with connect(postgres_url, name="test") as connection, Redis.from_url(redis_url) as bus:
        desk = watch._desk = Desk(connection, bus, {}, WallClock())
        monkeypatch.setattr(time, "monotonic", lambda: now + STUCK_SECONDS + 1)
        assert not watch.health().ok
        await desk.ask(_nothing)
        assert watch.health().ok


async def test_it_rolls_candles_up_where_no_dagster_does(
    connection: Connection, postgres_url: str, redis_url: str
) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([print_at(n) for n in range(301)]))
    feeder.close_all()
    watch = Watch(Settings(), EVERYTHING, 2, asyncio.Event(), RepairMeters(CollectorRegistry()))
    with connect(postgres_url, name="test") as own, Redis.from_url(redis_url) as bus:
        await watch._turn(Desk(own, bus, {}, WallClock()))
    rolled = connection.execute("SELECT count(*) FROM candle WHERE interval = '5m'").fetchone()
    assert rolled == (2,)


def _nothing(_: Connection) -> None: ...

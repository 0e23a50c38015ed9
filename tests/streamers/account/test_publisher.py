from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from streamers.account.publisher import AccountPublisher
from streamers.bus_link import BusLink
from streamers.spool import Spool
from tests.adapters.database.booking import ACCOUNT, balance, fill, order
from tests.streamers.waiting import contiguous, until
from trade_platform.adapters.bus import Entry, account_stream, heard_key
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.embedded import Server

STREAM = account_stream("deribit", ACCOUNT)


def make(url: str, folder: Path, *, producer: str = "account:1", megabytes: float = 16.0) -> AccountPublisher:
    publisher = AccountPublisher(
        BusLink(url, timeout_seconds=2.0),
        Spool(folder / "spool", round(megabytes * (1 << 20))),
        exchange="deribit",
        account=ACCOUNT,
        producer=producer,
        clock=WallClock(),
    )
    publisher.open()
    return publisher


@asynccontextmanager
async def publishing(url: str, folder: Path, **options: str) -> AsyncIterator[AccountPublisher]:
    publisher = make(url, folder, **options)  # type: ignore[arg-type]
    running = asyncio.create_task(publisher.run())
    yield publisher
    publisher.finish(10)
    await running


def entries(url: str) -> list[Entry]:
    with Redis.from_url(url) as client:
        return [Entry.from_fields(fields) for _, fields in client.xrange(STREAM)]  # type: ignore[union-attr]


async def test_records_go_in_order_one_entry_a_run_of_one_kind(redis_url: str, tmp_path: Path) -> None:
    records = [order(), order(1), fill(), order(2), balance()]
    async with publishing(redis_url, tmp_path) as publisher:
        publisher.publish(records)
    told = entries(redis_url)
    assert [one.kind for one in told] == ["order_event", "fill", "order_event", "balance"]
    assert [record for one in told for record in one.account_records()] == records
    assert contiguous(told)
    assert publisher.counts == {"order_event": 3, "fill": 1, "balance": 1}


async def test_what_is_heard_is_promised_with_what_was_published_before(
    redis_url: str, tmp_path: Path
) -> None:
    async with publishing(redis_url, tmp_path) as publisher:
        await until(publisher.acquainted.is_set, "acquainted")
        publisher.memory.hear(41)
        publisher.promise()
        publisher.promise()
        await until(lambda: entries(redis_url), "an entry without records")
        publisher.memory.hear(42)
        publisher.publish([fill()])
    with Redis.from_url(redis_url) as client:
        assert client.hgetall(heard_key(STREAM)) == {  # type: ignore[comparison-overlap]
            b"heard": b"42",
            b"symbol|BTCUSDT": b"1",
            b"fill|BTCUSDT": b"17",
        }
    assert [len(one.account_records()) for one in entries(redis_url)] == [0, 1]
    async with publishing(redis_url, tmp_path, producer="account:2") as other:
        await until(other.acquainted.is_set, "acquainted")
        assert (other.memory.heard, other.memory.known.symbols) == (42, {"BTCUSDT"})


async def test_while_redis_is_away_nothing_is_lost(
    redis_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = redis_server(name="account")
    async with publishing(server.url, tmp_path) as publisher:
        publisher.publish([fill(fill_id="1")])
        await until(lambda: publisher.sender.sent_records == 1, "sent")
        server.stop()
        for n in range(2, 30):
            publisher.publish([fill(fill_id=str(n))])
        await until(lambda: publisher.sender.away and publisher.backlog.spool.bytes, "on disk")
        server = redis_server(name="account")
        await until(lambda: not publisher.backlog, "all is sent")
    told = {record.fill_id for one in entries(server.url) for record in one.account_records()}  # type: ignore[union-attr]
    assert told == {str(n) for n in range(1, 30)}


async def test_where_there_is_no_room_records_wait_and_nothing_is_read(tmp_path: Path) -> None:
    """Neither Redis nor the disk: what was heard stays, in order, and the socket is to rest."""
    publisher = make("redis://127.0.0.1:1/0", tmp_path)
    publisher.backlog._limit = 1
    publisher.backlog.spool.limit_bytes = publisher.backlog.spool.reserve_bytes = 0
    publisher.publish([fill(fill_id="1")])
    assert not publisher.blocked
    publisher.publish([fill(fill_id="2"), order()])
    assert publisher.blocked
    publisher.backlog._limit = 100
    publisher.retry()
    assert not publisher.blocked
    assert [parcel.entry.n for parcel in publisher.backlog.portion()] == [1, 2, 3]
    publisher.backlog.spool.close()


async def test_the_time_to_redis_is_measured_for_each_batch(redis_url: str, tmp_path: Path) -> None:
    seconds: list[float] = []
    async with publishing(redis_url, tmp_path) as publisher:
        publisher.on_sent = seconds.append
        for n in range(20):
            publisher.publish([fill(fill_id=str(n))])
            await asyncio.sleep(0)
        await until(lambda: len(seconds) == 20, "all are measured")
    assert all(0 < one < 60 for one in seconds)


@pytest.mark.parametrize("count", [500, 501])
async def test_a_large_answer_is_cut(redis_url: str, tmp_path: Path, count: int) -> None:
    async with publishing(redis_url, tmp_path) as publisher:
        publisher.publish([fill(fill_id=str(n)) for n in range(count)])
    assert [len(one.account_records()) for one in entries(redis_url)] == [500, 1][: 1 + (count > 500)]

"""What a reconciliation hands to an account's stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.adapters.database.booking import ACCOUNT, fill, order
from trade_platform.adapters.account_outlet import ENTRY_RECORDS, AccountOutlet
from trade_platform.adapters.bus import REPAIR, Entry, account_stream
from trade_platform.adapters.clock import WallClock

STREAM = account_stream("deribit", ACCOUNT)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def entries(redis: Redis) -> list[tuple[str, Entry]]:
    found: Any = redis.xrange(STREAM)
    return [(identity.decode(), Entry.from_fields(fields)) for identity, fields in found]


def test_records_of_one_kind_travel_together_and_are_numbered(redis: Redis) -> None:
    outlet = AccountOutlet(redis, "deribit", ACCOUNT, WallClock())
    outlet.put([fill(), order(), fill(1, fill_id="18")])
    outlet.put([order(5)])
    written = entries(redis)
    assert [(one.kind, one.n, len(one.account_records())) for _, one in written] == [
        ("fill", 1, 2),
        ("order_event", 2, 1),
        ("order_event", 3, 1),
    ]
    assert (outlet.stream, outlet.records, outlet.last_id) == (STREAM, 4, written[-1][0])
    assert all(one.producer.startswith(REPAIR) for _, one in written)


def test_what_arrives_is_what_was_put(redis: Redis) -> None:
    outlet = AccountOutlet(redis, "deribit", ACCOUNT, WallClock())
    outlet.put([fill()])
    ((_, one),) = entries(redis)
    assert list(one.account_records()) == [fill()]


def test_many_records_are_several_entries(redis: Redis) -> None:
    outlet = AccountOutlet(redis, "deribit", ACCOUNT, WallClock())
    outlet.put([fill(n, fill_id=str(n)) for n in range(ENTRY_RECORDS + 1)])
    assert [len(one.account_records()) for _, one in entries(redis)] == [ENTRY_RECORDS, 1]


def test_two_outlets_are_two_producers(redis: Redis) -> None:
    for _ in range(2):
        AccountOutlet(redis, "deribit", ACCOUNT, WallClock()).put([fill()])
    assert len({one.producer for _, one in entries(redis)}) == 2

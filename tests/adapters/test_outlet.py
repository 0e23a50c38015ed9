from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.processors.feeding import EXCHANGE, STREAM, trade
from trade_platform.adapters.bus import REPAIR, Entry
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.outlet import ENTRY_RECORDS, MOST_UNSTORED, Outlet


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


class Position:
    """How far a processor is."""

    def __init__(self) -> None:
        self.entry_id = "0-0"

    def __call__(self, stream: str) -> str:
        assert stream == STREAM
        return self.entry_id


def entries(client: Redis) -> list[tuple[str, Entry]]:
    return [(key.decode(), Entry.from_fields(fields)) for key, fields in client.xrange(STREAM)]  # type: ignore[union-attr]


def test_records_go_in_numbered_entries_of_a_producer_of_its_own(client: Redis) -> None:
    outlet = Outlet(client, EXCHANGE, WallClock(), Position())
    outlet.put([trade(n) for n in range(1, ENTRY_RECORDS + 3)])
    (_, first), (_, second) = entries(client)
    assert (first.n, second.n) == (1, 2)
    assert first.producer == second.producer
    assert first.producer.startswith(REPAIR)
    assert [len(one.records()) for one in (first, second)] == [ENTRY_RECORDS, 2]
    assert outlet.records == ENTRY_RECORDS + 2


def test_two_outlets_are_two_producers(client: Redis) -> None:
    for _ in range(2):
        Outlet(client, EXCHANGE, WallClock(), Position()).put([trade(1)])
    assert len({entry.producer for _, entry in entries(client)}) == 2


def test_there_is_room_only_while_the_reader_keeps_up(client: Redis) -> None:
    position = Position()
    outlet = Outlet(client, EXCHANGE, WallClock(), position)
    assert outlet.is_empty()
    for n in range(MOST_UNSTORED):
        assert outlet.has_room()
        outlet.put([trade(n + 1)])
    assert not outlet.has_room()
    position.entry_id = entries(client)[0][0]
    assert outlet.has_room()
    assert outlet.unstored == MOST_UNSTORED - 1
    position.entry_id = entries(client)[-1][0]
    assert outlet.is_empty()

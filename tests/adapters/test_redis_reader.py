from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from trade_platform.adapters.embedded import Server
from trade_platform.adapters.redis_reader import (
    MOST_ENTRIES,
    TARGET_RECORDS,
    StreamReader,
    WrongRedisUrl,
    comes_before,
    connect_redis,
)

STREAM = "market:reader"


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with connect_redis(redis_url) as client:
        yield client


def add(client: Redis, *ids: str) -> None:
    for entry_id in ids:
        client.xadd(STREAM, {"data": b"x" * 10}, id=entry_id)


def test_reading_goes_on_behind_the_position(client: Redis) -> None:
    add(client, "1-0", "1-1", "2-0")
    reader = StreamReader(client, STREAM, "1-0")
    read = reader.read(0.01)
    assert [entry_id for entry_id, _ in read.entries] == ["1-1", "2-0"]
    assert (read.size, read.full) == (20, False)
    assert reader.read(0.01).entries == read.entries, "the position is moved by whoever stored"
    reader.position = "2-0"
    assert reader.read(0.01).entries == ()


def test_a_full_read_says_that_there_is_more(client: Redis) -> None:
    add(client, *(f"{n}-0" for n in range(1, 200)))
    reader = StreamReader(client, STREAM, "0-0")
    assert reader.read(0.01).full


def test_the_pace_follows_the_records(client: Redis) -> None:
    """Many small entries at once, few large ones."""
    reader = StreamReader(client, STREAM, "0-0")
    for _ in range(10):
        reader.pace(entries=10, size=1000, records=10)
    assert reader._count == MOST_ENTRIES
    reader.pace(entries=10, size=1000, records=10_000)
    assert reader._count == TARGET_RECORDS // 1000
    reader.pace(entries=1, size=100_000_000, records=1)
    assert reader._count == 1


def test_a_stream_that_does_not_exist_ends_at_the_beginning(client: Redis) -> None:
    reader = StreamReader(client, STREAM, "0-0")
    assert reader.end().last_id == "0-0"
    add(client, "5-0", "6-0")
    assert (reader.end().last_id, reader.end().added, reader.end().length) == ("6-0", 2, 2)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_trimming_never_passes_the_position_less_its_window(
    shared_redis_url: str, position: int, window: int
) -> None:
    with connect_redis(shared_redis_url) as client:
        client.delete(STREAM)
        pipeline = client.pipeline(transaction=False)
        for n in range(1, 1001):
            pipeline.xadd(STREAM, {"data": b"x"}, id=f"{n * 3}-0")
        pipeline.execute()
        reader = StreamReader(client, STREAM, f"{position}-0")
        trimmed = reader.trim(f"{position}-0", window / 1000)
        kept = [int(entry_id.partition(b"-")[0]) for entry_id, _ in client.xrange(STREAM)]  # type: ignore[union-attr]
        client.delete(STREAM)
    assert trimmed + len(kept) == 1000
    assert set(kept) >= {n * 3 for n in range(1, 1001) if n * 3 >= position - window}


def test_what_is_stored_is_trimmed_at_last(client: Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    for n in range(1, 2001):
        pipeline.xadd(STREAM, {"data": b"x"}, id=f"{n}-0")
    pipeline.execute()
    assert StreamReader(client, STREAM, "0-0").trim("2000-0", 0) > 1500


def test_level_with_the_stream_the_window_ends_by_redis_own_clock(client: Redis) -> None:
    """The position may stand still for ever: a full Redis takes no entry that would move it."""
    add(client, *(f"{n}-0" for n in range(1, 2001)))
    reader = StreamReader(client, STREAM, "0-0")
    assert reader.trim("2000-0", 900) == 0
    assert 0 < reader.trim("1000-0", 900, level=True) < 1000, "never beyond the position"
    assert reader.trim("2000-0", 900, level=True) > 500
    newest = [client.xadd(STREAM, {"data": b"x" * 10}) for _ in range(500)][-1]
    reader.trim(newest.decode(), 900, level=True)  # type: ignore[union-attr]
    assert client.xlen(STREAM) >= 500, "within the window"


def test_memory_is_short_near_its_limit(redis_server: Callable[..., Server]) -> None:
    with connect_redis(redis_server("short").url) as client:
        reader = StreamReader(client, STREAM, "0-0")
        client.config_set("maxmemory", "0")
        assert not reader.is_short_of_memory(), "no limit"
        client.config_set("maxmemory", "1gb")
        assert not reader.is_short_of_memory()
        client.config_set("maxmemory", "1")
        assert reader.is_short_of_memory()


@pytest.mark.parametrize(("a", "b"), [("1-9", "1-10"), ("9-0", "10-0"), ("5", "5-1")])
def test_ids_are_ordered_as_numbers(a: str, b: str) -> None:
    assert comes_before(a, b)
    assert not comes_before(b, a)
    assert not comes_before(a, a)


def test_a_wrong_url_is_a_sentence() -> None:
    with pytest.raises(WrongRedisUrl, match="set it to redis://"):
        connect_redis("nonsense")

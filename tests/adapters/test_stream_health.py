from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.processors.feeding import entry, trade
from trade_platform.adapters.bus import encode
from trade_platform.adapters.stream_health import PAGE, stream_health

STREAM = "market:deribit"


@pytest.fixture
def bus(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as bus:
        yield bus


def now_ms(bus: Redis) -> int:
    seconds, microseconds = bus.time()  # type: ignore[misc]
    return int(seconds) * 1000 + int(microseconds) // 1000


def add(bus: Redis, milliseconds: int, producer: str = "streamer:1", kind: str = "trade") -> str:
    fields = entry([trade(1)], producer=producer).fields() | {"kind": kind, "data": encode([trade(1)])}
    return bus.xadd(STREAM, fields, id=f"{milliseconds}-*").decode()  # type: ignore[arg-type, union-attr]


def test_a_stream_that_does_not_exist_has_no_health(bus: Redis) -> None:
    assert stream_health(bus, STREAM, "0-0") is None


def test_the_age_is_that_of_the_newest_entry_and_the_rate_that_of_the_last(bus: Redis) -> None:
    now = now_ms(bus)
    for ago in (60_000, 40_000, 20_000):
        add(bus, now - ago)
    health = stream_health(bus, STREAM, "0-0")
    assert health is not None
    assert health.age_seconds is not None
    assert 20.0 <= health.age_seconds < 50.0
    assert health.batches_a_second == pytest.approx(0.05)
    assert health.length == 3


def test_the_lag_is_the_wait_of_the_oldest_unstored_entry(bus: Redis) -> None:
    """An entry that comes after an hour of rest has not waited for an hour."""
    now = now_ms(bus)
    stored = add(bus, now - 3_600_000)
    add(bus, now - 30_000)
    newest = add(bus, now - 1_000)
    health = stream_health(bus, STREAM, stored)
    assert health is not None
    assert 30.0 <= health.lag_seconds < 60.0
    level = stream_health(bus, STREAM, newest)
    assert level is not None
    assert level.lag_seconds == 0.0


@pytest.mark.parametrize(("producer", "kind"), [("repair:1", "trade"), ("streamer:1", "instrument")])
def test_what_was_read_by_rest_is_no_sign_of_life(bus: Redis, producer: str, kind: str) -> None:
    now = now_ms(bus)
    add(bus, now - 120_000)
    for n in range(2 * PAGE):
        add(bus, now - 1_000 + n, producer, kind)
    health = stream_health(bus, STREAM, "0-0")
    assert health is not None
    assert health.age_seconds is not None
    assert health.age_seconds >= 120.0


def test_an_age_that_repairs_hide_is_unknown(bus: Redis) -> None:
    now = now_ms(bus)
    add(bus, now - 120_000)
    for n in range(5 * PAGE):
        add(bus, now - 1_000 + n, "repair:1")
    health = stream_health(bus, STREAM, "0-0")
    assert health is not None
    assert health.age_seconds is None


def test_a_stream_that_was_trimmed_to_nothing_is_known_and_without_age(bus: Redis) -> None:
    add(bus, now_ms(bus))
    bus.xtrim(STREAM, maxlen=0, approximate=False)
    health = stream_health(bus, STREAM, "0-0")
    assert health is not None
    assert (health.length, health.age_seconds, health.lag_seconds) == (0, None, 0.0)

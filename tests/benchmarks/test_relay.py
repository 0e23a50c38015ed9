"""The relay before Redis: passes on, waits, and loses an answer with its connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as Lost

from benchmarks.relay import Relay
from trade_platform.adapters.embedded import start_redis


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with start_redis(tmp_path_factory.mktemp("relay")) as server:
        yield Redis.from_url(server.url)


@pytest.fixture
def relay(behind: Redis) -> Iterator[Relay]:
    behind.flushall()
    with Relay(behind.connection_pool.connection_kwargs["path"]) as relay:
        yield relay


def client(relay: Relay) -> Redis:
    return Redis.from_url(relay.url, retry=None)


def test_what_is_asked_is_answered(relay: Relay, behind: Redis) -> None:
    with client(relay) as redis:
        assert redis.set("a", "1")
        assert behind.get("a") == b"1"
        assert redis.get("a") == b"1"


def test_a_delay_is_counted_and_nothing_is_lost_by_it(relay: Relay) -> None:
    relay.delay = 0.001
    with client(relay) as redis:
        assert redis.ping()
    assert relay.delayed >= 2


def test_the_answer_to_an_entry_is_lost_after_it_was_stored(relay: Relay, behind: Redis) -> None:
    with client(relay) as redis:
        redis.ping()
        relay.swallow = 1
        assert redis.ping()  # no entry: not what was meant
        with pytest.raises(Lost):
            redis.xadd("stream", {"n": 1})
        assert behind.xlen("stream") == 1
        assert (relay.swallow, relay.swallowed) == (0, 1)
        assert redis.xadd("stream", {"n": 2})


def test_with_nobody_behind_it_a_connection_ends(tmp_path: Path) -> None:
    with (
        Relay(str(tmp_path / "nobody")) as relay,
        socket.create_connection(("127.0.0.1", relay.port)) as connection,
    ):
        assert connection.recv(1) == b""

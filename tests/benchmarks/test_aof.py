"""A Redis that comes back without what it confirmed last."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from benchmarks.aof import Log
from trade_platform.adapters.embedded import start_redis


def test_what_was_written_after_a_moment_is_forgotten(tmp_path: Path) -> None:
    log = Log(tmp_path)
    server = start_redis(tmp_path)
    try:
        with Redis.from_url(server.url) as redis:
            redis.xadd("stream", {"n": 1})
            length = log.length
            redis.xadd("stream", {"n": 2})
    finally:
        server.kill()
    assert log.cut(length) > 0
    assert log.cut(length) == 0
    with start_redis(tmp_path) as server, Redis.from_url(server.url) as redis:
        assert [fields for _, fields in redis.xrange("stream")] == [{b"n": b"1"}]

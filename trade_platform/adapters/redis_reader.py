"""The reading side of the bus: one stream, from a known entry on, and its trimming behind the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

Fields: TypeAlias = Mapping[bytes, bytes]

TARGET_BYTES: Final = 8_000_000
TARGET_RECORDS: Final = 20_000
"""What one read may bring, near enough: a transaction of this size takes a fraction of a second."""
MOST_ENTRIES: Final = 4_000
FIRST_ENTRIES: Final = 64
ANSWER_SECONDS: Final = 10.0
FULL: Final = 0.85
"""Of maxmemory: beyond it, room is worth more than stored entries."""


class WrongRedisUrl(Exception):
    """REDIS_URL cannot be understood; the sentence says what to do."""


class Read(msgspec.Struct, frozen=True):
    """What one read brought."""

    entries: Sequence[tuple[str, Fields]]
    size: int
    """Bytes."""
    full: bool
    """There may be more at once: we are behind."""


class StreamEnd(msgspec.Struct, frozen=True):
    """What Redis says of the stream."""

    last_id: str
    """Of the newest entry ever added; 0-0 where the stream does not exist."""
    added: int
    """Entries ever added."""
    length: int


def connect_redis(url: str) -> Redis:
    """A client that never repeats a command by itself; raises WrongRedisUrl."""
    options: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
    try:
        return Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=5.0,
            **options,
        )
    except (ValueError, TypeError) as error:
        raise WrongRedisUrl(
            "REDIS_URL is no Redis URL: set it to redis://host:port/0 or unix:///path/of/the/socket."
        ) from error


class StreamReader:
    """Reads forward from ``position``; whoever stores what was read moves it on."""

    def __init__(self, client: Redis, stream: str, position: str) -> None:
        self._client = client
        self._stream = stream
        self._count = FIRST_ENTRIES
        self.position = position

    def read(self, wait_seconds: float) -> Read:
        """What comes after the position, at once or as soon as it comes; empty when nothing came in time."""
        count = self._count
        answer: Any = self._client.xread(
            {self._stream: self.position}, count=count, block=max(1, round(wait_seconds * 1000))
        )
        if not answer:
            return Read((), 0, full=False)
        pairs = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))
        entries = [(entry_id.decode(), fields or {}) for entry_id, fields in pairs]
        size = sum(len(fields.get(b"data", b"")) for _, fields in entries)
        return Read(entries, size, full=len(entries) >= count)

    def pace(self, entries: int, size: int, records: int) -> None:
        """Learn from what came how many entries the next read may ask for."""
        if entries:
            fits = min(TARGET_BYTES * entries // max(size, 1), TARGET_RECORDS * entries // max(records, 1))
            self._count = max(1, min(fits, self._count * 4, MOST_ENTRIES))

    def end(self) -> StreamEnd:
        """The stream as Redis has it now."""
        try:
            info: Any = self._client.xinfo_stream(self._stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return StreamEnd("0-0", 0, 0)
            raise
        last = info["last-generated-id"]
        return StreamEnd(
            last.decode() if isinstance(last, bytes) else str(last), info["entries-added"], info["length"]
        )

    def trim(self, position: str, window_seconds: float, *, level: bool = False) -> int:
        """Drop what lies more than the window behind a *stored* position; returns how many entries.

        ``level``: nothing comes after the position, which may stand still for long (a full Redis takes no
        entry): the window is counted from now then, by Redis' own clock, and the position is the limit.
        Approximate trimming drops whole nodes only, so it stops short of the mark and never goes beyond.
        """
        end = self._now() if level else milliseconds_of(position)
        mark = f"{max(0, end - round(window_seconds * 1000))}-0"
        if comes_before(position, mark):
            mark = position
        if mark == "0-0":
            return 0
        return int(self._client.xtrim(self._stream, minid=mark, approximate=True))

    def is_short_of_memory(self) -> bool:
        """Redis will soon refuse entries; never where it has no limit, or does not tell."""
        try:
            info: Any = self._client.info("memory")
        except ResponseError:
            return False
        limit = int(info.get("maxmemory", 0))
        return limit > 0 and int(info["used_memory"]) > FULL * limit

    def _now(self) -> int:
        seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


def milliseconds_of(entry_id: str) -> int:
    """When Redis took the entry, by its own clock."""
    return int(entry_id.partition("-")[0])


def comes_before(a: str, b: str) -> bool:
    """The order of entry ids."""
    return _parts(a) < _parts(b)


def _parts(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)

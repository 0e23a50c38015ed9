"""The publisher's one connection to Redis: explicit about every break, so that none goes unnoticed.

A client library that reconnects by itself would hide that the server was restarted, and with it what the
server lost. Here a failure ends the connection, and the holder decides what to look at before it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trade_platform.adapters.bus import Entry, sequence_key

TIMEOUT_SECONDS = 5.0
PARCEL_OVERHEAD = 200
"""Bytes of a parcel beside its data, near enough."""
PAGE_ENTRIES = 100
"""Entries that one question is answered with."""
LAST_FLUSH = "|"
"""Field of the sequence hash: market time up to which all that was received is on the bus, or told to be
missing. No ``symbol|channel`` is so short. With a feed's name behind it: since when that one is down, and has
not told so yet."""
GONE = -2
"""Instead of a sequence: the field is given up."""
RAISE = """
for i = 1, #ARGV, 2 do
    local before = redis.call('HGET', KEYS[1], ARGV[i])
    if not before or tonumber(before) < tonumber(ARGV[i + 1]) then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    end
end
"""
"""Each field to its new value where that is higher: two slots of a lane may write to the hash at once."""


class BusUnavailable(Exception):
    """Redis does not take what it is given; the sentence says what it said."""


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """An entry on its way to a stream, with what the sequence hash shall say once it is there."""

    stream: str
    entry: Entry
    sequences: dict[str, int]
    records: int
    key: str = ""
    """The hash; empty: that of the entry's exchange."""

    @property
    def size(self) -> int:
        """Bytes, near enough."""
        return len(self.entry.data) + PARCEL_OVERHEAD


class BusLink:
    """Connect, ask, send. Everything raises BusUnavailable, and after that the connection is gone."""

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        arguments: dict[str, Any] = dict(parse_url(url))
        kind = arguments.pop("connection_class", Connection)
        self.where = url.rpartition("@")[2]
        self._connection = kind(
            **arguments,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self.connected = False

    async def connect(self) -> None:
        """Open the connection."""
        await self._guarded(self._connection.connect())
        self.connected = True

    async def close(self) -> None:
        self.connected = False
        await self._connection.disconnect(nowait=True)

    async def held(self, stream: str, first: str, last: str) -> set[tuple[str, int]]:
        """Producer and n of the entries between two ids, both included."""
        held: set[tuple[str, int]] = set()
        start = first
        while True:
            answer = await self._ask("XRANGE", stream, start, last, "COUNT", str(PAGE_ENTRIES))
            for _, fields in answer:
                entry = _pairs(fields)
                held.add((entry.get(b"producer", b"").decode(), int(entry.get(b"n", 0))))
            if len(answer) < PAGE_ENTRIES:
                return held
            start = f"({answer[-1][0].decode()}"

    async def sequences(self, exchange: str) -> dict[str, int]:
        """What the hash of the last sequences says."""
        return await self.marks(sequence_key(exchange))

    async def marks(self, key: str) -> dict[str, int]:
        """What a hash of numbers says."""
        answer = _pairs(await self._ask("HGETALL", key))
        return {field.decode(): int(value) for field, value in answer.items()}

    async def send(self, parcels: Sequence[Parcel]) -> list[str]:
        """All of them, in order, or none of them; the answer is their ids on the streams.

        One transaction, because a refusal (memory full) must not let a later entry pass an earlier
        one. When the answer is lost they may have arrived: sent again, they bear the same ``n``.
        """
        commands: list[tuple[Any, ...]] = [("MULTI",)]
        marks: dict[str, dict[str, int]] = {}
        for parcel in parcels:
            fields = parcel.entry.fields()
            commands.append(("XADD", parcel.stream, "*", *(part for pair in fields.items() for part in pair)))
            if parcel.sequences:
                key = parcel.key or sequence_key(parcel.entry.exchange)
                marks.setdefault(key, {}).update(parcel.sequences)
        for key, mark in marks.items():
            commands += _promise(key, mark)
        commands.append(("EXEC",))
        answers = await self._guarded(self._exchange(commands))
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        if refused:
            await self.close()
            raise BusUnavailable(f"Redis at {self.where} refused an entry: {refused[0]}")
        return [answer.decode() for answer in answers[: len(parcels)]]

    async def _ask(self, *command: str) -> Any:
        return await self._guarded(self._exchange([command]))

    async def _exchange(self, commands: Sequence[tuple[Any, ...]]) -> Any:
        """Send in one write; the last command's answer. An error of any of them is raised."""
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        for _ in range(len(commands) - 1):
            await connection.read_response(disable_decoding=True)
        return await connection.read_response(disable_decoding=True)

    async def _guarded(self, work: Any) -> Any:
        try:
            return await work
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise BusUnavailable(f"Redis at {self.where} is not available: {error}") from error
        except BaseException:
            await self.close()  # an answer may be under way that belongs to nobody
            raise


def _promise(key: str, mark: Mapping[str, int]) -> list[tuple[Any, ...]]:
    """The commands that make the hash say so."""
    gone = [field for field, value in mark.items() if value == GONE]
    said = [part for field, value in mark.items() if value != GONE for part in (field, value)]
    raising = [("EVAL", RAISE, 1, key, *said)] if said else []
    return [*raising, ("HDEL", key, *gone)] if gone else raising


def _pairs(answer: Any) -> dict[bytes, Any]:
    """A map as RESP 3 gives it, or the flat list of RESP 2."""
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


def order_of(identity: str) -> tuple[int, int]:
    """Ids of a stream are compared as numbers."""
    time, _, sequence = identity.partition("-")
    return int(time), int(sequence)

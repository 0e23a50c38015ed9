from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from streamers.bus_link import GONE, LAST_FLUSH, BusLink, BusUnavailable, Parcel, order_of
from tests.streamers.waiting import Bus
from trade_platform.adapters.bus import Entry, sequence_key
from trade_platform.adapters.embedded.server import Server


def parcel(n: int, stream: str = "market:fictional") -> Parcel:
    return Parcel(
        stream, Entry("trade", "test:1", n, 1, "fictional", b"[]"), {"AAA|trade": n, LAST_FLUSH: 70 + n}, 0
    )


async def test_entries_and_their_promises_arrive_together(redis_url: str, bus: Bus) -> None:
    link = BusLink(redis_url)
    await link.connect()
    assert await link.sequences("fictional") == {}
    assert await link.held("market:fictional", "0-0", "9-9") == set()
    identities = await link.send([parcel(1), parcel(2), parcel(1, "state")])
    assert len(identities) == 3
    assert await link.sequences("fictional") == {"AAA|trade": 1, LAST_FLUSH: 71}
    assert await link.held("market:fictional", *identities[:2]) == {("test:1", 1), ("test:1", 2)}
    assert await link.held("market:fictional", identities[1], identities[1]) == {("test:1", 2)}
    await link.close()


async def test_a_promise_is_raised_and_never_lowered_and_what_is_gone_is_deleted(redis_url: str) -> None:
    """Two slots of a lane write to the same hash."""
    link = BusLink(redis_url)
    await link.connect()
    for promises in ({"AAA|trade": 5, "BBB|trade": 7}, {"AAA|trade": 4, "BBB|trade": GONE}, {}):
        await link.send([msgspec.structs.replace(parcel(1), sequences=promises)])
    assert await link.sequences("fictional") == {"AAA|trade": 5}
    await link.close()


async def test_a_refusal_leaves_nothing_behind(redis_url: str, bus: Bus) -> None:
    link = BusLink(redis_url)
    await link.connect()
    bus.client.set("state", "not a stream")
    with pytest.raises(BusUnavailable, match="WRONGTYPE"):
        await link.send([parcel(1, "state")])
    assert not link.connected
    await link.close()


async def test_out_of_memory_takes_all_or_nothing(redis_server: Callable[..., Server]) -> None:
    server = redis_server(parameters={"maxmemory-policy": "noeviction"})
    bus = Bus(server.url)
    link = BusLink(server.url)
    await link.connect()
    bus.client.config_set("maxmemory", "1")
    with pytest.raises(BusUnavailable, match="not available"):
        await link.send([parcel(1), parcel(2)])
    assert bus.entries() == []
    assert not bus.client.exists(sequence_key("fictional"))
    bus.client.config_set("maxmemory", "0")
    bus.close()


async def test_a_server_that_is_gone_is_a_sentence(redis_server: Callable[..., Server]) -> None:
    server = redis_server()
    link = BusLink(server.url)
    await link.connect()
    server.kill()
    with pytest.raises(BusUnavailable, match="is not available"):
        await link.send([parcel(1)])
    with pytest.raises(BusUnavailable, match="is not available"):
        await link.connect()


def test_ids_are_compared_as_numbers() -> None:
    assert sorted(["10-10", "10-9", "9-0"], key=order_of) == ["9-0", "10-9", "10-10"]


def test_a_password_is_never_told() -> None:
    assert BusLink("redis://user:secret@127.0.0.1:9/0").where == "127.0.0.1:9/0"

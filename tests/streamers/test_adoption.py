"""What a killed process left in its spool is sent by the process of the lane's other slot."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from streamers import adoption as adoption_module
from streamers.adoption import Adoption
from streamers.bus_link import BusLink, Parcel
from streamers.spool import Spool
from tests.streamers.waiting import Bus, contiguous, until
from trade_platform.adapters.bus import Entry, encode
from trade_platform.adapters.clock import WallClock
from trade_platform.domain.model import Side, Trade


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(adoption_module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(adoption_module, "HISTORY_SECONDS", 0.01)


def left_behind(folder: Path, *, entries: int) -> Spool:
    """A spool that still is in use."""
    spool = Spool(folder, 1 << 20)
    spool.open()
    for n in range(1, entries + 1):
        trade = Trade("AAA", n, Decimal(1), Decimal(1), Side.BUY, n, 1, n, n)
        entry = Entry("trade", "other:1", n, 1, "fictional", encode([trade]))
        assert spool.append(msgspec.msgpack.encode(Parcel("market:fictional", entry, {"AAA|trade": n}, 1)))
    return spool


async def test_a_spool_is_taken_once_nobody_holds_it_and_given_back_empty(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    spool = left_behind(tmp_path / "other", entries=300)
    adoption = Adoption(tmp_path / "other", 1 << 20, lambda: BusLink(redis_url), WallClock())
    task = asyncio.create_task(adoption.run())
    try:
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert bus.entries() == [], "its owner works"
        spool.close()
        await until(lambda: adoption.adopted == 300)
        assert bus.has(300)
        assert contiguous(bus.entries())
        assert bus.promised() == 300
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    again = Spool(tmp_path / "other", 1 << 20)
    again.open()  # its next owner finds it free
    assert again.empty
    again.close()


async def test_what_could_not_be_sent_stays(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    left_behind(tmp_path / "other", entries=3).close()
    away = Adoption(tmp_path / "other", 1 << 20, lambda: BusLink("redis://127.0.0.1:9/0"), WallClock())
    task = asyncio.create_task(away.run())
    for _ in range(20):
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    back = Adoption(tmp_path / "other", 1 << 20, lambda: BusLink(redis_url), WallClock())
    task = asyncio.create_task(back.run())
    await until(lambda: bus.has(3))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

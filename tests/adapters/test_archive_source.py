"""Trades and candles from published files: verified, in batches, each once, and whatever may be wrong."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import date
from pathlib import Path

import pytest

from tests.adapters.published import candle_path, candle_row, publish, sign, trade_path, trade_row
from trade_platform.adapters import archive_source
from trade_platform.adapters.archive import ArchiveFolder
from trade_platform.adapters.archive_source import BATCH, ArchiveSource, Reading, days_of
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.sources import CandleSource, NotThere, TradeSource, Unreachable, Unusable
from trade_platform.domain.model import DAY, MINUTE, Candle, Channel, Trade
from trade_platform.exchanges.binance import BinanceSpot

FRIDAY, SATURDAY = date(2026, 11, 20), date(2026, 11, 21)
SATURDAY_START = 1_795_219_200_000_000


@pytest.fixture
def source(tmp_path: Path) -> ArchiveSource:
    archive = BinanceSpot().archive
    assert archive is not None
    return ArchiveSource(archive, ArchiveFolder(tmp_path), WallClock())


async def trades(source: TradeSource, first: int, last: int, *days: date) -> list[Sequence[Trade]]:
    batches = source.trades("BTCUSDT", Channel.TRADE, first, last, days or (SATURDAY,))
    return [batch async for batch in batches]


def numbers(batches: Sequence[Sequence[Trade]]) -> list[int]:
    return [trade.sequence for batch in batches for trade in batch]


async def test_only_what_was_asked_for_ascending_over_days(source: ArchiveSource, tmp_path: Path) -> None:
    publish(tmp_path, trade_path("2026-11-20"), map(trade_row, range(1, 11)))
    publish(tmp_path, trade_path("2026-11-21"), map(trade_row, range(11, 21)))
    assert numbers(await trades(source, 8, 13, SATURDAY, FRIDAY)) == [8, 9, 10, 11, 12, 13]


async def test_a_genuine_hole_is_delivered_as_it_is(source: ArchiveSource, tmp_path: Path) -> None:
    publish(tmp_path, trade_path("2026-11-21"), map(trade_row, [1, 2, 5, 6]))
    assert numbers(await trades(source, 1, 6)) == [1, 2, 5, 6]


async def test_what_a_file_holds_twice_is_delivered_once(source: ArchiveSource, tmp_path: Path) -> None:
    publish(tmp_path, trade_path("2026-11-21"), map(trade_row, [1, 2, 2, 3]))
    assert numbers(await trades(source, 1, 3)) == [1, 2, 3]


async def test_a_row_of_names_is_passed_over(source: ArchiveSource, tmp_path: Path) -> None:
    names = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
    publish(tmp_path, trade_path("2026-11-21"), [names, trade_row(1), trade_row(2)])
    assert numbers(await trades(source, 1, 2)) == [1, 2]


async def test_the_month_stands_in_for_days_that_are_not_there(source: ArchiveSource, tmp_path: Path) -> None:
    """Read once for both days, and without repeating what the day's own file told."""
    publish(tmp_path, trade_path("2026-11-20"), map(trade_row, range(1, 6)))
    publish(tmp_path, trade_path("2026-11", "monthly"), map(trade_row, range(1, 21)))
    days = (FRIDAY, SATURDAY, date(2026, 11, 22))
    assert numbers(await trades(source, 3, 30, *days)) == list(range(3, 21))


async def test_what_is_not_there_yet_is_told_after_what_is(source: ArchiveSource, tmp_path: Path) -> None:
    publish(tmp_path, trade_path("2026-11-20"), map(trade_row, range(1, 6)))
    batches = aiter(source.trades("BTCUSDT", Channel.TRADE, 1, 30, (FRIDAY, SATURDAY)))
    assert numbers([await anext(batches)]) == [1, 2, 3, 4, 5]
    with pytest.raises(NotThere, match=r"BTCUSDT-trades-2026-11\.zip"):
        await anext(batches)


async def test_a_file_without_its_digest_is_not_there(source: ArchiveSource, tmp_path: Path) -> None:
    file = publish(tmp_path, trade_path("2026-11-21"), [trade_row(1)])
    file.with_name(f"{file.name}.CHECKSUM").unlink()
    with pytest.raises(NotThere):
        await trades(source, 1, 1)


async def test_nothing_of_a_file_with_another_digest_is_used(source: ArchiveSource, tmp_path: Path) -> None:
    file = publish(tmp_path, trade_path("2026-11-21"), map(trade_row, range(1, 50)))
    other = publish(tmp_path / "other", trade_path("2026-11-21"), map(trade_row, range(2, 50)))
    file.write_bytes(other.read_bytes())
    got: list[Sequence[Trade]] = []
    with pytest.raises(Unusable, match=r"BTCUSDT-trades-2026-11-21\.zip does not have the SHA-256"):
        got += await trades(source, 1, 50)
    assert got == []


async def test_files_after_the_last_number_are_not_opened(source: ArchiveSource, tmp_path: Path) -> None:
    publish(tmp_path, trade_path("2026-11-20"), map(trade_row, range(1, 11)))
    assert numbers(await trades(source, 3, 9, FRIDAY, SATURDAY)) == list(range(3, 10))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])
    sign(file)


def corrupt(file: Path) -> None:
    """Bytes of the packed table, not of the list of tables behind it."""
    body = bytearray(file.read_bytes())
    body[60:80] = bytes(20)
    file.write_bytes(body)
    sign(file)


def empty(file: Path) -> None:
    file.write_bytes(b"")
    sign(file)


def unsigned(file: Path) -> None:
    file.with_name(f"{file.name}.CHECKSUM").write_text("<html>", encoding="utf-8")


@pytest.mark.parametrize("spoil", [truncate, corrupt, empty, unsigned])
async def test_a_spoiled_file_is_one_error_that_names_it(
    source: ArchiveSource, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(publish(tmp_path, trade_path("2026-11-21"), map(trade_row, range(1, 2000))))
    with pytest.raises(Unusable, match="BTCUSDT-trades-2026-11-21"):
        await trades(source, 1, 5000)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([trade_row(1), "2,text,2,3,1795219200000000,True,True"], "row 2: no such row"),
        ([trade_row(1), "two,1,2,3,1795219200000000,True,True"], "row 2: no number of a trade"),
        (["1,1.5"], "row 1: no such row"),
        ([trade_row(5), trade_row(4)], "row 2: the trade 4 follows the trade 5"),
        (["1" * 5000], "row 1: no row is so long"),
        (["\x00\x01"], "row 1"),
    ],
)
async def test_a_wrong_row_is_one_error_with_its_place(
    source: ArchiveSource, tmp_path: Path, rows: list[str], sentence: str
) -> None:
    publish(tmp_path, trade_path("2026-11-21"), rows)
    with pytest.raises(Unusable, match=sentence):
        await trades(source, 1, 10)


async def test_text_that_is_none_is_an_error(source: ArchiveSource, tmp_path: Path) -> None:
    file = tmp_path / trade_path("2026-11-21")
    publish(tmp_path, trade_path("2026-11-21"), [])
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("table.csv", b"\xff\xfe\n")
    sign(file)
    with pytest.raises(Unusable):
        await trades(source, 1, 10)


@pytest.mark.parametrize("tables", [(), ("a.csv", "b.csv")])
async def test_a_file_has_one_table(source: ArchiveSource, tmp_path: Path, tables: tuple[str, ...]) -> None:
    publish(tmp_path, trade_path("2026-11-21"), [trade_row(1)], tables=tables)
    with pytest.raises(Unusable, match=f"holds {len(tables)} tables"):
        await trades(source, 1, 10)


async def test_what_may_not_be_read_is_unreachable(
    source: ArchiveSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = publish(tmp_path, trade_path("2026-11-21"), [trade_row(1)])
    checksum = file.with_name(f"{file.name}.CHECKSUM")
    checksum.unlink()
    checksum.mkdir()
    with pytest.raises(NotThere):
        await trades(source, 1, 1)
    opened = Path.open

    def refuse(self: Path, *args: object, **options: object) -> object:
        if self.suffix == ".zip":
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **options)  # type: ignore[call-overload]

    checksum.rmdir()
    sign(file)
    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom nothing is forbidden
    with pytest.raises(Unreachable, match="Permission denied"):
        await trades(source, 1, 1)


async def test_batches_are_bounded_and_memory_does_not_grow(source: ArchiveSource, tmp_path: Path) -> None:
    """Twenty batches are read in the memory of a few."""
    count = 20 * BATCH
    publish(tmp_path, trade_path("2026-11-21"), map(trade_row, range(1, count + 1)))
    expected, held = 1, 0
    tracemalloc.start()
    try:
        async for batch in source.trades("BTCUSDT", Channel.TRADE, 1, count, (SATURDAY,)):
            assert len(batch) <= BATCH
            assert batch[0].sequence == expected
            expected = batch[-1].sequence + 1
            held = held or tracemalloc.get_traced_memory()[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert expected == count + 1
    assert peak < 5 * held


async def test_whoever_has_enough_stops_reading(source: ArchiveSource, tmp_path: Path) -> None:
    publish(tmp_path, trade_path("2026-11-21"), map(trade_row, range(1, 3 * BATCH)))
    batches = source.trades("BTCUSDT", Channel.TRADE, 1, 3 * BATCH, (SATURDAY,))
    assert isinstance(batches, AsyncIterator)
    async with aclosing(batches):  # type: ignore[type-var]
        async for _ in batches:
            break


async def test_a_reading_that_is_cancelled_ends(
    source: ArchiveSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a file whose rows are all too early; without being told to, it would never end."""
    publish(tmp_path, trade_path("2026-11-21"), [trade_row(1)])
    begun = threading.Event()

    def endless(_: object, __: object, reading: Reading) -> Iterator[str]:
        while not reading.stopped:
            begun.set()
            yield trade_row(1)

    monkeypatch.setattr(archive_source, "_lines", endless)
    reading = asyncio.create_task(trades(source, 10**9, 10**9 + 1))
    await asyncio.to_thread(begun.wait)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def candles(source: CandleSource, start: int, end: int) -> list[Candle]:
    return [candle async for batch in source.candles("BTCUSDT", start, end) for candle in batch]


async def test_candles_by_their_opening(source: ArchiveSource, tmp_path: Path) -> None:
    friday = [SATURDAY_START - 2 * MINUTE, SATURDAY_START - MINUTE]
    saturday = [SATURDAY_START + number * MINUTE for number in range(3)]
    publish(tmp_path, candle_path("2026-11-20"), map(candle_row, friday))
    publish(tmp_path, candle_path("2026-11-21"), map(candle_row, saturday))
    found = await candles(source, friday[1], saturday[2])
    assert [one.open_time for one in found] == [friday[1], *saturday[:2]]
    assert all(one.closed for one in found)


async def test_an_empty_range_asks_for_nothing(source: ArchiveSource) -> None:
    assert await candles(source, SATURDAY_START, SATURDAY_START) == []
    assert await trades(source, 5, 4) == []


def test_the_days_of_a_range() -> None:
    assert days_of(SATURDAY_START, SATURDAY_START + 1) == [SATURDAY]
    assert days_of(SATURDAY_START - 1, SATURDAY_START + DAY) == [FRIDAY, SATURDAY]
    assert days_of(SATURDAY_START, SATURDAY_START) == []

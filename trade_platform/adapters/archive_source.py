"""Trades and candles from an exchange's published files: verified, then read as a stream.

No row is used before the whole file has the SHA-256 that is published beside it. A file is read row by
row and handed on in batches, so that memory does not grow with the day.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Final, Protocol, TypeVar, cast

from trade_platform.adapters.archive import BLOCK, Files
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.sources import NotThere, Unreachable, Unusable
from trade_platform.domain.model import DAY, MINUTE, Candle, Channel, Trade
from trade_platform.exchanges.archive import Archive, ArchiveFile
from trade_platform.exchanges.session import ProtocolViolation

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BATCH: Final = 10_000
LONGEST_LINE: Final = 2000
CORRUPT: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,
)
"""All that reading a foreign zip can raise (RuntimeError: it is encrypted)."""


class ArchiveSource:
    """Implements TradeSource and CandleSource with one exchange's archive."""

    def __init__(self, archive: Archive, files: Files, clock: Clock) -> None:
        self._archive = archive
        self._files = files
        self._clock = clock

    async def trades(
        self, symbol: str, channel: Channel, first: int, last: int, days: Sequence[date]
    ) -> AsyncGenerator[Sequence[Trade], None]:
        wanted = WantedTrades(self._archive, symbol, channel, first, last)
        async with aclosing(self._read(symbol, channel, days, wanted)) as batches:
            async for batch in batches:
                yield batch

    async def candles(self, symbol: str, start: int, end: int) -> AsyncIterator[Sequence[Candle]]:
        wanted = WantedCandles(self._archive, symbol, start, end)
        async with aclosing(self._read(symbol, Channel.CANDLE, days_of(start, end), wanted)) as batches:
            async for batch in batches:
                yield batch

    async def _read(
        self, symbol: str, channel: Channel, days: Sequence[date], wanted: Wanted[T]
    ) -> AsyncGenerator[list[T], None]:
        """File after file until the last row that can be wanted; what is not there is told at the end."""
        absent: list[str] = []
        read: set[str] = set()
        for day in sorted(set(days)):
            if wanted.done:
                break
            choice = self._archive.files(symbol, channel, day)
            if any(one.path in read for one in choice):
                continue  # in the month that was read already
            try:
                async with self._verified(choice, day) as (one, path):
                    read.add(one.path)
                    async for batch in self._batches(path, one, wanted):
                        yield batch
            except NotThere as error:
                absent.append(str(error))
        if absent and not wanted.done:
            raise NotThere(" ".join(absent[:3]))

    @asynccontextmanager
    async def _verified(
        self, choice: Sequence[ArchiveFile], day: date
    ) -> AsyncIterator[tuple[ArchiveFile, Path]]:
        """The first of the files that is there, with the content that it was published with."""
        absent = f"No file of the archive is meant to hold {day}."
        async with AsyncExitStack() as stack:
            for one in choice:
                try:
                    promised = _digest(await self._files.text(one.checksum), one)
                    path = await stack.enter_async_context(self._files.whole(one.path))
                except NotThere as error:
                    absent = str(error)
                    continue
                await asyncio.to_thread(_check, path, promised, one)
                yield one, path
                return
        raise NotThere(absent)

    async def _batches(self, path: Path, one: ArchiveFile, wanted: Wanted[T]) -> AsyncIterator[list[T]]:
        """Read in another thread: a day of a busy market takes seconds."""
        reading = Reading(one.path)
        rows = _rows(path, reading, self._archive, wanted, self._clock.market())
        work: asyncio.Future[list[T]] | None = None
        try:
            while True:
                work = asyncio.ensure_future(asyncio.to_thread(lambda: list(islice(rows, BATCH))))
                batch = await asyncio.shield(work)
                if not batch:
                    return
                yield batch
        finally:
            reading.stopped = True
            if work is not None:  # cancelled: the thread has the file still open
                await asyncio.wait([work])
            rows.close()


class Reading:
    """One file while it is read; a thread reads it, the loop may stop it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.row = 0
        self.stopped = False


class Wanted(Protocol[T_co]):
    """Which rows are wanted of the files of one request, and what becomes of them."""

    done: bool
    """Nothing that comes later can be wanted."""

    def take(self, lines: Iterable[str], receive_time: int) -> Iterator[T_co]:
        """What is wanted of one file's rows. Raises ProtocolViolation."""


class WantedTrades:
    """Trades with the numbers [first, last], each once, even where a month's file follows a day's."""

    def __init__(self, archive: Archive, symbol: str, channel: Channel, first: int, last: int) -> None:
        self.done = first > last
        self._archive = archive
        self._symbol = symbol
        self._channel = channel
        self._next = first
        self._last = last

    def take(self, lines: Iterable[str], receive_time: int) -> Iterator[Trade]:
        before = -1
        for line in lines:
            number = self._archive.sequence(line)
            if number < before:
                raise ProtocolViolation(f"the trade {number} follows the trade {before}")
            before = number
            self.done = self.done or number >= self._last
            if self._next <= number <= self._last:
                self._next = number + 1
                yield self._archive.trade(line, self._symbol, self._channel, receive_time)
            if self.done:
                return


class WantedCandles:
    """Minutes with an open_time in [start, end), each once."""

    def __init__(self, archive: Archive, symbol: str, start: int, end: int) -> None:
        self.done = start >= end
        self._archive = archive
        self._symbol = symbol
        self._next = start
        self._end = end

    def take(self, lines: Iterable[str], receive_time: int) -> Iterator[Candle]:
        before = -1
        for line in lines:
            candle = self._archive.candle(line, self._symbol, receive_time)
            if candle.open_time < before:
                raise ProtocolViolation(f"the minute {candle.open_time} follows the minute {before}")
            before = candle.open_time
            self.done = self.done or before >= self._end - MINUTE
            if self._next <= before < self._end:
                self._next = before + MINUTE
                yield candle
            if self.done:
                return


def _rows(
    path: Path, reading: Reading, archive: Archive, wanted: Wanted[T], receive_time: int
) -> Generator[T, None, None]:
    """What is wanted of one file; raises Unusable for whatever is wrong with it."""
    try:
        with zipfile.ZipFile(path) as zipped:
            tables = [member for member in zipped.infolist() if not member.is_dir()]
            if len(tables) != 1:
                raise Unusable(f"{reading.path} holds {len(tables)} tables instead of one.")
            with _buffered(zipped.open(tables[0])) as table:
                yield from wanted.take(_lines(table, archive, reading), receive_time)
    except ProtocolViolation as error:
        raise Unusable(f"{reading.path}, row {reading.row}: {error}.") from error
    except CORRUPT as error:
        raise Unusable(
            f"{reading.path} cannot be unpacked ({str(error) or type(error).__name__})."
        ) from error
    except OSError as error:
        raise Unreachable(f"{reading.path} cannot be read ({error.strerror}).") from error


def _buffered(table: IO[bytes]) -> io.BufferedReader:
    """Its lines are found by C; those of a zip's own reader, where they are bounded, are not."""
    return io.BufferedReader(cast("io.RawIOBase", table), BLOCK)


def _lines(table: io.BufferedReader, archive: Archive, reading: Reading) -> Iterator[str]:
    """Rows without what ends them, and without a first row of names."""
    while not reading.stopped and (line := table.readline(LONGEST_LINE)):
        reading.row += 1
        if len(line) == LONGEST_LINE:
            raise ProtocolViolation("no row is so long")
        text = line.rstrip(b"\r\n").decode()
        if text and not (reading.row == 1 and archive.is_header(text)):
            yield text


def _digest(text: str, one: ArchiveFile) -> str:
    """What ``sha256sum`` writes: the digest, and the name of the file."""
    digest = text.split(maxsplit=1)[0].lower() if text.strip() else ""
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise Unusable(f"{one.checksum} does not begin with a SHA-256: {one.path} is not used.")
    return digest


def _check(path: Path, promised: str, one: ArchiveFile) -> None:
    """Raises Unusable where the file is not the one that was published."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise Unreachable(f"{one.path} cannot be read ({error.strerror}).") from error
    if digest.hexdigest() != promised:
        raise Unusable(f"{one.path} does not have the SHA-256 that {one.checksum} names: it is not used.")


def days_of(start: int, end: int) -> list[date]:
    """The days (UTC) that [start, end) touches."""
    first, last = start // DAY, (end - 1) // DAY
    return [date(1970, 1, 1) + timedelta(days=number) for number in range(first, last + 1)]

"""One instrument's day, read from the archive and by REST: what coverage lacks, and no more than that.

Which numbers the day has is asked by time, or told by its file; the trades' own times decide. Read are the
last trade before the day and the first after it too: they prove that nothing is missing at its ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import date, timedelta
from typing import Final

import msgspec

from trade_platform.adapters.database.backfill import around_day, lacking
from trade_platform.adapters.database.times import EPOCH
from trade_platform.adapters.sources import NotThere, SourceError, TradeSource, Unreachable
from trade_platform.domain.backfill import Around, SourceOfDays
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.gaps import in_words
from trade_platform.domain.model import DAY, Trade
from trade_platform.operations.desk import Counter, Desk, Reach
from trade_platform.operations.patient_reading import (
    PAUSES,
    NotServed,
    PatientReading,
    Say,
    Target,
)
from trade_platform.operations.reading_again import NoAnswer

MOST_NUMBER: Final = 2**63 - 2
STEP: Final = 1000
"""Numbers that are read at a time to find the day's end, where it was not told exactly."""


class Bounds(msgspec.Struct):
    """Numbers of a day's first trade, and of the first after it; None: not known, or there is none."""

    low: int | None = None
    high: int | None = None


class DayAgain(PatientReading):
    """One day of one instrument."""

    def __init__(
        self,
        desk: Desk,
        reach: Reach,
        counter: Counter,
        target: Target,
        day: date,
        *,
        say: Say = lambda *_: None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        super().__init__(desk, reach, counter, target, say=say, pauses=pauses)
        self.open = False
        """No trade after the day is known of yet."""
        self.first: int | None = None
        """Number of the first trade that there ever was, where it was met."""
        self._day = day
        self._start = (day - EPOCH.date()).days * DAY
        self._end = self._start + DAY
        self._archive_words = ""

    async def read_day(self, source: SourceOfDays) -> None:
        """Hand in what is missing of it. Raises NotServed, NoAnswer, Refused."""
        around = await self._around()
        if around.is_whole:
            return
        bounds = Bounds()
        if around.begins:
            bounds.low = around.held.lowest
        if around.ends:
            bounds.high = around.after
        archive = self._reach.archive if source is not SourceOfDays.REST else None
        if archive is not None and self._end <= self._desk.clock.market():
            bounds = await self._file(archive, around.held, bounds)
        if source is SourceOfDays.ARCHIVE:
            await self._only_archive(archive, bounds)
        else:
            await self._rest(archive, around, bounds)

    async def _around(self) -> Around:
        one = self.target
        return await self._desk.ask(around_day, one.instrument_id, one.channel, self._day)

    async def _lacking(self, low: int, high: int) -> Ranges:
        """Of the day's numbers and the one on either side, what is neither stored nor handed in."""
        one = self.target
        found = await self._desk.ask(lacking, one.instrument_id, one.channel, max(0, low - 1), high + 1)
        return found - self._handed

    # --- the archive ---

    async def _file(self, archive: TradeSource, held: Ranges, bounds: Bounds) -> Bounds:
        """The day's file; where there is none, or no good one, what was known before."""
        self._note("archive")
        low = high = None
        try:
            async with aclosing(self._batches(archive, 0, MOST_NUMBER, self._day)) as batches:
                async for batch in batches:
                    own = [one for one in batch if self._start <= one.event_time < self._end]
                    if own:
                        low = own[0].sequence if low is None else low
                        high = own[-1].sequence + 1
                        await self._hand_in([one for one in own if one.sequence not in held])
                    self._tell((batch[-1].event_time - self._start) / DAY)
                    if batch[-1].event_time >= self._end:  # a month's file goes on
                        break
        except SourceError as error:
            self._explain(error, self._day)
            return bounds
        return bounds if low is None else Bounds(low, high)

    async def _only_archive(self, archive: TradeSource | None, bounds: Bounds) -> None:
        if archive is None:
            raise NotServed("there is no archive of this exchange, or ARCHIVE names none")
        if bounds.low is None or bounds.high is None:
            raise NotServed(self._archive_words or f"the archive's file of {self._day} holds no trade of it")
        left_out = await self._beside(archive, await self._lacking(bounds.low, bounds.high), bounds)
        if left_out:
            why = f" ({self._archive_words})" if self._archive_words else ""
            raise NotServed(f"the archive leaves out {in_words(left_out)}{why}")

    async def _beside(self, archive: TradeSource, numbers: Ranges, bounds: Bounds) -> Ranges:
        """The trades next to the day, from the files of the days next to it; returns what is left out."""
        got = Ranges()
        before, after = self._day - timedelta(days=1), self._day + timedelta(days=1)
        low = None if bounds.low is None else bounds.low - 1
        for number, day in ((low, before), (bounds.high, after)):
            if number is None or number not in numbers:
                continue
            try:
                async with aclosing(self._batches(archive, number, number, day)) as batches:
                    async for batch in batches:
                        await self._hand_in(batch)
                        got |= Ranges.of(one.sequence for one in batch)
            except SourceError as error:
                self._explain(error, day)
        return numbers - got

    async def _batches(
        self, archive: TradeSource, first: int, last: int, day: date
    ) -> AsyncGenerator[Sequence[Trade], None]:
        self._say(f"reads the archive of {day}", self._done)
        source = archive.trades(self.target.symbol, self.target.channel, first, last, [day])
        async with aclosing(source) as batches:
            while batch := await self._next(batches):
                yield batch

    def _explain(self, error: SourceError, day: date) -> None:
        """Raises NoAnswer where asking again soon may help."""
        if isinstance(error, Unreachable):
            raise NoAnswer(str(error)) from error
        absent = isinstance(error, NotThere)
        self._archive_words = f"the archive has no file of {day}" if absent else str(error).rstrip(".")

    # --- REST ---

    async def _rest(self, archive: TradeSource | None, around: Around, bounds: Bounds) -> None:
        try:
            await self._search(around, bounds)
        except NotServed as error:
            raise NotServed(f"{error}{self._behind()}") from error
        left_out = await self._read(bounds)
        if archive is not None and left_out:
            left_out = await self._beside(archive, left_out, bounds)
        low = bounds.low
        before = None if low is None else Ranges.between(low - 1, low)
        if low == 0:
            self.first = 0
        elif low is not None and left_out == before and await self._nothing_before(low, self._start):
            self.first, left_out = low, Ranges()
        if left_out and not self._desk.stop.is_set():
            raise NotServed(f"REST leaves out {in_words(left_out)}{self._behind()}")

    def _behind(self) -> str:
        if self._archive_words:
            return f", and {self._archive_words}"
        return "" if self._reach.archive is not None else ", and there is no archive"

    async def _search(self, around: Around, bounds: Bounds) -> None:
        """By time, what is not known of the day's numbers."""
        if bounds.low is None:
            bounds.low = await self._first_since(self._start)
            if bounds.low is not None and bounds.low - 1 != around.before:
                bounds.low = await self._stepped_back(bounds.low)
        if bounds.high is None and bounds.low is not None:
            bounds.high = await self._first_since(self._end)

    async def _stepped_back(self, low: int) -> int:
        """The trade before must be older than the day: what was told may count by something coarser."""
        while low > 0 and (page := await self._numbers(low - 1, low - 1)):
            await self._hand_in(page)
            if page[0].event_time < self._start:
                break
            low -= 1
        return low

    async def _read(self, bounds: Bounds) -> Ranges:
        """Read by number what is lacking of the day and beside it; returns what REST leaves out."""
        if bounds.low is None:
            self.open = True
            return Ranges()
        last = bounds.high
        if last is None:
            self.open = True
            newest = await self._newest()
            last = bounds.low - 1 if newest is None else newest
        left_out = await self._pages_of(await self._lacking(bounds.low, last), bounds.low, last)
        if bounds.high is not None:
            await self._step_forward(bounds, bounds.high)
        return left_out

    async def _step_forward(self, bounds: Bounds, high: int) -> None:
        """What should be the first trade after the day is one of it: read on until the day ends."""
        while self._last is not None and self._last.sequence == high and self._last.event_time < self._end:
            page = await self._numbers(high + 1, high + STEP)
            after = next((n for n, one in enumerate(page) if one.event_time >= self._end), len(page))
            await self._hand_in(page[: after + 1])
            if not page:
                break
            bounds.high = high = self._last.sequence

    async def _pages_of(self, numbers: Ranges, first: int, last: int) -> Ranges:
        left_out = Ranges()
        for low, high in numbers:
            at = low
            while at < high and not self._desk.stop.is_set():
                self._tell((at - first) / max(1, last - first + 1))
                page = await self._numbers(at, high - 1)
                if not page:
                    left_out |= Ranges.between(at, high)
                    break
                await self._hand_in(page)
                after = page[-1].sequence + 1
                left_out |= Ranges.of(one.sequence for one in page).missing(at, after)
                at = after
        return left_out

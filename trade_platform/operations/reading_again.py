"""What is missing, read again: trades page by page by their numbers, candles by time, the newest trade."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import date
from typing import Final

from trade_platform.adapters.database.gap_proof import (
    Around,
    days_around,
    missing_minutes,
    remaining_numbers,
    trades_around,
)
from trade_platform.adapters.database.gaps import LedgerGap, credit
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.adapters.sources import NotThere, SourceError, Unreachable
from trade_platform.domain.coverage import Ranges, Span
from trade_platform.domain.gaps import Attempt, Minutes, Source, are_over, minutes_of
from trade_platform.domain.model import MINUTE, Candle, Channel, Trade
from trade_platform.exchanges.session import ProtocolViolation, Request, RestError
from trade_platform.operations.desk import Counter, Desk, Reach, Stopped
from trade_platform.operations.gaps import is_quiet

STOPPED: Final = "the repair was stopped"


class Refused(Exception):
    """The exchange will never answer this."""


class NoAnswer(Exception):
    """It gave none now, or one that cannot be read."""


class ReadingAgain:
    """One gap on one exchange; what was read is handed in before more is asked for."""

    def __init__(self, desk: Desk, reach: Reach, counter: Counter) -> None:
        self._desk = desk
        self._reach = reach
        self._exchange = reach.exchange
        self._counter = counter

    async def _fetch(self, request: Request) -> bytes:
        """Raises Refused, NoAnswer."""
        try:
            return await self._desk.until_stopped(self._reach.fetch(request))
        except Stopped as error:
            raise NoAnswer(STOPPED) from error
        except RestUnavailable as error:
            raise NoAnswer(str(error)) from error
        except RestError as error:
            if error.retry or error.maintenance:
                raise NoAnswer(f"{self._exchange.key} refuses for now: {error}") from error
            raise Refused(str(error)) from error

    async def _trades(self, symbol: str, channel: Channel, first: int, last: int) -> list[Trade]:
        """One page, ascending, of [first, last]."""
        body = await self._fetch(self._exchange.trades_request(symbol, channel, first, last))
        try:
            page = self._exchange.parse_trades(body, symbol, channel, self._desk.clock.market())
        except ProtocolViolation as error:
            raise NoAnswer(f"{self._exchange.key}: {error}") from error
        except RestError as error:
            raise Refused(str(error)) from error
        return sorted(
            (trade for trade in page if first <= trade.sequence <= last), key=lambda trade: trade.sequence
        )

    async def _pages(self, symbol: str, channel: Channel, first: int, last: int) -> Ranges:
        """Read and hand in all of [first, last]; returns the numbers that REST leaves out."""
        left_out = Ranges()
        while first <= last and not self._desk.stop.is_set():
            page = await self._trades(symbol, channel, first, last)
            if not page:
                return left_out | Ranges.between(first, last + 1)
            await self._counter.put(page)
            end = page[-1].sequence
            told = Ranges.of(trade.sequence for trade in page)
            left_out |= told.missing(first, end + 1)
            first = end + 1
        return left_out


class TradesAgain(ReadingAgain):
    """A gap in numbers: REST, and the archive behind it."""

    async def read(self, gap: LedgerGap) -> Attempt:
        """Ask for what is still missing."""
        assert gap.symbol is not None
        assert gap.channel is not None
        remaining = (await self._desk.ask(remaining_numbers, [gap]))[gap.gap_id]
        before, left_out, refusal = self._counter.records, Ranges(), ""
        try:
            for low, high in remaining:
                left_out |= await self._pages(gap.symbol, gap.channel, low, high - 1)
        except NoAnswer as error:
            return Attempt(unreachable=str(error))
        except Refused as error:
            refusal, left_out = str(error), remaining
        finally:
            if self._counter.records > before:
                await self._desk.ask(credit, gap.gap_id, Source.REST)
        if self._reach.archive is None or not left_out:
            return Attempt(left_out=left_out, refusal=refusal)
        return await self._archive(gap, left_out, refusal)

    async def _archive(self, gap: LedgerGap, wanted: Ranges, refusal: str) -> Attempt:
        days = await self._desk.ask(days_around, gap, wanted)
        got, waits_for, error_words = Ranges(), "", ""
        for span in wanted:
            try:
                got |= await self._archived(gap, span, days)
            except NotThere:
                waits_for = days[-1].isoformat()
            except Unreachable as error:
                return Attempt(unreachable=str(error))
            except SourceError as error:
                error_words = str(error)
        if got:
            await self._desk.ask(credit, gap.gap_id, Source.ARCHIVE)
        left_out = wanted - got
        return Attempt(
            left_out=left_out,
            refusal=refusal if left_out else "",
            archive=True,
            waits_for=waits_for,
            archive_error=error_words,
        )

    async def _archived(self, gap: LedgerGap, span: Span, days: Sequence[date]) -> Ranges:
        assert self._reach.archive is not None
        assert gap.symbol is not None
        assert gap.channel is not None
        got = Ranges()
        batches = self._reach.archive.trades(gap.symbol, gap.channel, span[0], span[1] - 1, days)
        async with aclosing(batches):
            while batch := await self._next(batches):
                await self._counter.put(list(batch))
                got |= Ranges.of(trade.sequence for trade in batch)
        return got

    async def _next(self, batches: AsyncGenerator[Sequence[Trade], None]) -> Sequence[Trade]:
        """Empty at the end; a long file is given up where we are asked to stop."""
        try:
            return await self._desk.until_stopped(_next_of(batches))
        except Stopped as error:
            raise Unreachable(STOPPED) from error


async def _next_of(batches: AsyncGenerator[Sequence[Trade], None]) -> Sequence[Trade]:
    """``anext`` with a default cannot be a task's work: its end is no result in Python 3.11."""
    try:
        return await anext(batches)
    except StopAsyncIteration:
        return ()


class QuietAgain(ReadingAgain):
    """A break in time that waits for instruments that have not traded since: are they quiet, or we deaf?"""

    async def read(self, gap: LedgerGap) -> Attempt:
        """Ask each for its newest trade."""
        assert gap.channel is not None
        for one in await self._desk.ask(trades_around, gap, gap.channel):
            if one.passed or is_quiet(self._desk.asked, gap, one) or self._desk.stop.is_set():
                continue  # one question serves every break before it
            try:
                await self._look(gap, gap.channel, one)
            except NoAnswer as error:
                return Attempt(unreachable=str(error))
        return Attempt()

    async def _look(self, gap: LedgerGap, channel: Channel, one: Around) -> None:
        key = (gap.exchange, one.symbol, channel)
        asked_at = self._desk.clock.market()
        if not await self._desk.ask(lambda _: self._desk.recorded(*key)):
            self._desk.note_asked(key, asked_at, None)
            return
        try:
            newest = await self._newest(one.symbol, channel)
            if newest is not None and newest > one.newest:
                await self._pages(one.symbol, channel, one.newest + 1, newest)
        except Refused:  # it is gone: nothing will follow
            newest = None
        self._desk.note_asked(key, asked_at, newest)

    async def _newest(self, symbol: str, channel: Channel) -> int | None:
        body = await self._fetch(self._exchange.last_trade_request(symbol, channel))
        try:
            page = self._exchange.parse_trades(body, symbol, channel, self._desk.clock.market())
        except ProtocolViolation as error:
            raise NoAnswer(f"{self._exchange.key}: {error}") from error
        except RestError as error:
            raise Refused(str(error)) from error
        return max((trade.sequence for trade in page), default=None)


class CandlesAgain(ReadingAgain):
    """The exchange's own minutes, by time."""

    async def read(self, gap: LedgerGap) -> Attempt:
        """Ask for the minutes that are missing, of each instrument."""
        minutes = minutes_of(gap.since, gap.until)
        if not are_over(minutes, self._desk.clock.market()):
            return Attempt()
        before, self._absent, self._refusal = self._counter.records, False, ""
        try:
            await self._each(gap, minutes)
        except NoAnswer as error:
            return Attempt(unreachable=str(error))
        finally:
            if self._counter.records > before:
                await self._desk.ask(credit, gap.gap_id, Source.CANDLES)
        return Attempt(refusal=self._refusal or ("it has no candle of some minutes" if self._absent else ""))

    async def _each(self, gap: LedgerGap, minutes: Minutes) -> None:
        """Some instruments at a time: of all of them, days of minutes would not fit into memory."""
        after = ""
        while missing := await self._desk.ask(missing_minutes, gap, minutes, after):
            after = next(reversed(missing))  # as the database orders them
            for symbol, openings in missing.items():
                if self._desk.stop.is_set():
                    return
                try:
                    self._absent |= bool(openings and await self._minutes(symbol, openings))
                except Refused as error:
                    self._refusal = f"{symbol}: {error}"

    async def _minutes(self, symbol: str, openings: Sequence[int]) -> Ranges:
        """Page by page; returns the minutes that the exchange does not have."""
        wanted, start = set(openings), openings[0]
        while wanted and start <= openings[-1] and not self._desk.stop.is_set():
            page = await self._page(symbol, start, openings[-1])
            if not page:
                break
            await self._counter.put([one for one in page if one.closed and one.open_time in wanted])
            wanted -= {one.open_time for one in page}
            start = max(one.open_time for one in page) + MINUTE
        return Ranges.of(opening // MINUTE for opening in sorted(wanted))

    async def _page(self, symbol: str, start: int, end: int) -> list[Candle]:
        body = await self._fetch(self._exchange.candles_request(symbol, start, end))
        try:
            page = self._exchange.parse_candles(body, symbol, self._desk.clock.market())
        except ProtocolViolation as error:
            raise NoAnswer(f"{self._exchange.key}: {error}") from error
        except RestError as error:
            raise Refused(str(error)) from error
        return [one for one in page if start <= one.open_time <= end]

"""Long reading: questions are put again where no answer comes, and what is waited for is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import MICROSECONDS, MINUTE, Channel, Trade
from trade_platform.exchanges.session import ProtocolViolation, Request
from trade_platform.operations.desk import Counter, Desk, Reach
from trade_platform.operations.reading_again import CandlesAgain, NoAnswer, TradesAgain

PAUSES: Final = (1.0, 5.0, 15.0, 60.0)
"""Seconds before a question is put again that got no answer; after the last it is given up for now."""
PATIENT_SECONDS: Final = 0.2
"""What takes longer is said to be waited for."""
FIRST_MARKET: Final = round(datetime(2009, 1, 3, tzinfo=UTC).timestamp()) * MICROSECONDS
"""There was none before."""

Say = Callable[[str, float], None]
"""(what is done now, how much of the day is done, 0 to 1)."""


class Target(msgspec.Struct, frozen=True):
    """Whose past is read, and which of its sequences."""

    instrument_id: int
    exchange: str
    symbol: str
    channel: Channel


class NotServed(Exception):
    """No source gives all of it; the sentence says what is missing, and why."""


class PatientReading(TradesAgain, CandlesAgain):
    """One instrument; what was read is handed in before more is asked for."""

    def __init__(
        self,
        desk: Desk,
        reach: Reach,
        counter: Counter,
        target: Target,
        *,
        say: Say = lambda *_: None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        super().__init__(desk, reach, counter)
        self.trades = 0
        """That were handed in."""
        self.sources: list[str] = []
        """That were asked."""
        self.target = target
        self._say = say
        self._pauses = pauses
        self._done = 0.0
        self._handed = Ranges()
        self._last: Trade | None = None

    async def read_candles(self, openings: Sequence[int]) -> None:
        """The exchange's own minutes. Raises NoAnswer, Refused."""
        if openings:
            self._say("reads the exchange's candles", self._done)
            await self._minutes(self.target.symbol, openings)

    async def _numbers(self, first: int, last: int) -> list[Trade]:
        """A page of [first, last]. Raises NoAnswer, Refused."""
        return await self._trades(self.target.symbol, self.target.channel, first, last)

    async def _hand_in(self, trades: Sequence[Trade]) -> None:
        if trades:
            self._last = trades[-1]
            self._handed |= Ranges.of(one.sequence for one in trades)
            await self._counter.put(list(trades))
            self.trades += len(trades)

    # --- by time ---

    async def _first_since(self, moment: int) -> int | None:
        """Number of the first trade since then; None where there is none until now.

        Raises NotServed where the exchange's own candles count trades that it does not tell any more.
        """
        since, now, one = moment, self._desk.clock.market(), self.target
        while since < now:
            search = self._exchange.first_trade_search(one.symbol, one.channel, since, now)
            body = await self._fetch(search.request)
            try:
                number = self._exchange.parse_first_trade(body, one.channel)
            except ProtocolViolation as error:
                raise NoAnswer(f"{self._exchange.key}: {error}") from error
            if number is not None or search.until >= now:
                return number
            minute = await self._traded_minute(since, now)
            if minute is None:
                return None
            if minute < search.until:
                raise NotServed("REST does not reach so far back")
            since = minute
        return None

    async def _traded_minute(self, since: int, until: int) -> int | None:
        """The first minute in which the exchange's own candles count a trade."""
        start = since // MINUTE * MINUTE
        while start < until and (page := await self._page(self.target.symbol, start, until)):
            for candle in page:
                if candle.trades or candle.volume:
                    return candle.open_time
            start = max(one.open_time for one in page) + MINUTE
        return None

    async def _nothing_before(self, number: int, day_start: int) -> bool:
        """The day's first trade is the first that there ever was, as far as the exchange tells."""
        try:
            return await self._first_since(FIRST_MARKET) == number
        except NotServed:  # its candles reach further back than its trades
            minute = await self._traded_minute(FIRST_MARKET, day_start)
            return minute is None

    async def _newest(self) -> int | None:
        one = self.target
        body = await self._fetch(self._exchange.last_trade_request(one.symbol, one.channel))
        try:
            page = self._exchange.parse_trades(body, one.symbol, one.channel, self._desk.clock.market())
        except ProtocolViolation as error:
            raise NoAnswer(f"{self._exchange.key}: {error}") from error
        return max((trade.sequence for trade in page), default=None)

    # --- patience ---

    async def _fetch(self, request: Request) -> bytes:
        """Asked again where no answer comes. Raises Refused, NoAnswer."""
        self._note("rest")
        for pause in self._pauses:
            try:
                return await self._watched(request)
            except NoAnswer as error:
                if self._desk.stop.is_set():
                    raise
                self._say(f"{str(error).rstrip('.')}; asks again in {pause:.0f} s", self._done)
                if await self._desk.pause(pause):
                    raise
        return await self._watched(request)

    async def _watched(self, request: Request) -> bytes:
        waited = self._reach.waited()
        asking = asyncio.ensure_future(super()._fetch(request))
        try:
            await asyncio.wait((asking,), timeout=PATIENT_SECONDS)
            if not asking.done():
                seconds = self._reach.waited() - waited
                limits = f"waits {seconds:,.1f} s for the exchange's limits"
                self._say(limits if seconds else "waits for REST", self._done)
            return await asking
        finally:
            asking.cancel()

    def _note(self, source: str) -> None:
        if source not in self.sources:
            self.sources.append(source)

    def tell(self, doing: str) -> None:
        """What is done now."""
        self._say(doing, self._done)

    def _tell(self, done: float) -> None:
        self._done = min(max(done, 0.0), 1.0)
        self._say("reads trades", self._done)

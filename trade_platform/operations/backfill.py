"""Days of the past that a person asks for: read, stored, made into candles, instrument by instrument.

Everything goes over the bus: processors stay the only writers of trades and of the exchange's candles.
Progress is coverage: a day that is whole is not asked about again, and of one that is not only what it
lacks is read, so whoever is killed between any two lines goes on from there.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

import msgspec

from trade_platform.adapters.database.backfill import (
    around_day,
    end,
    is_built,
    minutes_without_candle,
    try_to_begin,
)
from trade_platform.adapters.database.times import EPOCH
from trade_platform.domain.backfill import Around, DayOutcome, DayState, SourceOfDays
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.operations.candles import build_day
from trade_platform.operations.desk import Counter, Desk, NotStored
from trade_platform.operations.patient_reading import PAUSES, NotServed, Target
from trade_platform.operations.reading_again import NoAnswer, Refused
from trade_platform.operations.reading_days import DayAgain
from trade_platform.operations.wishes import Wish

ALREADY: Final = "Another backfill runs already: wait for it, or stop it; this one would go on where it ends."


class BackfillRuns(Exception):
    """Somebody backfills already; the sentence says what to do."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a backfill is."""

    days: int
    done: float
    """Days, the running ones in part."""
    trades: int
    what: str
    """Exchange, symbol and day that this is about."""
    doing: str


class Backfilled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what was asked for."""

    asked: int
    """Days, of all instruments together."""
    days: Sequence[DayOutcome]
    """Those that were looked at, in their order."""
    stopped: bool = False
    waited_seconds: float = 0.0
    """For the exchanges' limits, of all exchanges together."""

    @property
    def trades(self) -> int:
        return sum(one.trades for one in self.days)

    def count(self, state: DayState) -> int:
        """Days in this state."""
        return sum(one.state is state for one in self.days)

    @property
    def good(self) -> bool:
        """Everything that was asked for is held, as far as it has happened."""
        return len(self.days) == self.asked and all(one.good for one in self.days)


async def backfill(
    desk: Desk,
    wishes: Sequence[Wish],
    *,
    source: SourceOfDays = SourceOfDays.ANY,
    progress: Callable[[Progress], None] = lambda _: None,
    pauses: Sequence[float] = PAUSES,
) -> Backfilled:
    """Read what is lacking of these days. What cannot be had is said in the outcome.

    Raises BackfillRuns, NotStored, psycopg.Error, RedisError.
    """
    if not await desk.ask(try_to_begin):
        raise BackfillRuns(ALREADY)
    try:
        return await _Work(desk, wishes, source, progress, pauses).all()
    finally:
        await desk.ask(end)


class _Work:
    """One backfill: exchanges at the same time, the days of each one after the other."""

    def __init__(
        self,
        desk: Desk,
        wishes: Sequence[Wish],
        source: SourceOfDays,
        progress: Callable[[Progress], None],
        pauses: Sequence[float],
    ) -> None:
        self._desk = desk
        self._source = source
        self._progress = progress
        self._pauses = pauses
        self._asked = sum(len(wish.days) for wish in wishes)
        self._outcomes: list[DayOutcome] = []
        self._running: dict[str, tuple[float, int]] = {}
        """Exchange → (how much of its day is done, trades of it)."""
        self._wishes: Mapping[str, list[Wish]] = defaultdict(list)
        for wish in wishes:
            self._wishes[wish.target.exchange].append(wish)

    async def all(self) -> Backfilled:
        before = self._waited()
        await _together(self._exchange(exchange, wishes) for exchange, wishes in self._wishes.items())
        return Backfilled(
            asked=self._asked,
            days=self._outcomes,
            stopped=self._desk.stop.is_set(),
            waited_seconds=self._waited() - before,
        )

    def _waited(self) -> float:
        return sum(self._desk.reaches[exchange].waited() for exchange in self._wishes)

    async def _exchange(self, exchange: str, wishes: Sequence[Wish]) -> None:
        """An exchange that gives no answer is not asked about its other days in vain."""
        counter = self._desk.counter(exchange)
        for wish in wishes:
            for day in sorted(set(wish.days)):
                try:
                    outcome = await self._day(wish.target, day, counter)
                except NotStored:
                    if self._desk.stop.is_set():  # what was handed in is stored without us
                        return
                    raise
                if self._desk.stop.is_set():  # the next start says how it stands
                    return
                self._outcomes.append(outcome)
                self._say(wish.target, day, outcome.state, 0.0, 0)
                if outcome.state is DayState.UNREACHABLE:
                    return

    async def _day(self, target: Target, day: date, counter: Counter) -> DayOutcome:
        start = (day - EPOCH.date()).days * DAY
        around = await self._look(target, day)
        if around.is_whole and await self._desk.ask(is_built, target.instrument_id, start):
            return _outcome(target, day, DayState.WHOLE)
        say = partial(self._say, target, day)
        reading: DayAgain
        reading = DayAgain(
            *(self._desk, self._desk.reaches[target.exchange], counter, target, day),
            say=lambda doing, done: say(doing, done, reading.trades),
            pauses=self._pauses,
        )
        state, words = await self._read(reading, counter)
        around = await self._look(target, day)
        if around.is_whole or (reading.first is not None and around.from_first(reading.first).is_whole):
            state, words = DayState.WHOLE, ""
        source = " and ".join(reading.sources)
        found = _outcome(target, day, state, words=words, trades=reading.trades, source=source)
        if self._desk.stop.is_set() or state is DayState.UNREACHABLE:
            return found
        return await self._candles(reading, counter, start, found)

    async def _read(self, reading: DayAgain, counter: Counter) -> tuple[DayState, str]:
        state, words = DayState.LACKING, "what lies next to it is not held"
        try:
            await reading.read_day(self._source)
            if reading.open:
                state, words = DayState.OPEN, "nothing traded since"
        except NotServed as error:
            words = str(error)
        except Refused as error:
            words = f"the exchange refuses it ({error})"
        except NoAnswer as error:
            state, words = DayState.UNREACHABLE, str(error).rstrip(".")
        await counter.stored()
        return state, words

    async def _candles(
        self, reading: DayAgain, counter: Counter, start: int, found: DayOutcome
    ) -> DayOutcome:
        """The exchange's own minutes first: they prove some of ours."""
        now, before, instrument_id = self._desk.clock.market(), counter.records, reading.target.instrument_id
        last = min(start + DAY, now // MINUTE * MINUTE) - MINUTE
        openings = await self._desk.ask(minutes_without_candle, instrument_id, start, last)
        state, words = found.state, found.words
        try:
            await reading.read_candles(openings)
        except NoAnswer as error:
            state, words = DayState.UNREACHABLE, f"its candles: {error}".rstrip(".")
        except Refused as error:
            words = f"{words}; its candles are refused ({error})".lstrip("; ")
        await counter.stored()
        reading.tell("makes candles")
        built = await self._desk.ask(build_day, instrument_id, found.day, now=self._desk.clock.market())
        return msgspec.structs.replace(
            found,
            state=state,
            words=words,
            candles=counter.records - before,
            minutes=built.minutes,
            complete=built.complete,
        )

    async def _look(self, target: Target, day: date) -> Around:
        return await self._desk.ask(around_day, target.instrument_id, target.channel, day)

    def _say(self, target: Target, day: date, doing: str, done: float, trades: int) -> None:
        self._running[target.exchange] = done, trades
        running = self._running.values()
        self._progress(
            Progress(
                days=self._asked,
                done=min(self._asked, len(self._outcomes) + sum(part for part, _ in running)),
                trades=sum(one.trades for one in self._outcomes) + sum(count for _, count in running),
                what=f"{target.exchange} {target.symbol} {day}",
                doing=doing,
            )
        )


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of it; where one fails, the others are ended and its error is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _outcome(
    target: Target, day: date, state: DayState, *, words: str = "", trades: int = 0, source: str = ""
) -> DayOutcome:
    return DayOutcome(
        exchange=target.exchange,
        symbol=target.symbol,
        day=day,
        state=state,
        words=words,
        trades=trades,
        source=source,
    )

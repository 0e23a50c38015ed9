"""Gaps, repaired: what is open and due is asked of the exchange, then of its archive, and sent over the bus.

Progress is coverage: whoever is killed between any two lines finds, at the next start, what is still
missing, and asks for that. Processors stay the only writers of trades and candles; here only the ledger is
written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from trade_platform.adapters.database.gap_proof import remaining_numbers
from trade_platform.adapters.database.gaps import (
    EVERYTHING,
    Filter,
    LedgerGap,
    close_gap,
    note_attempt,
    open_gaps,
    say_of_gap,
)
from trade_platform.domain.defences import Defence
from trade_platform.domain.gaps import (
    FIRST_SECONDS,
    Attempt,
    Proof,
    State,
    are_over,
    is_due,
    judge,
    minutes_of,
    proof_of,
)
from trade_platform.domain.model import MICROSECONDS, Channel
from trade_platform.operations.desk import Counter, Desk
from trade_platform.operations.gaps import FIND_DAYS, PAGE, Closed, settle
from trade_platform.operations.reading_again import CandlesAgain, QuietAgain, TradesAgain

MOST_GAPS: Final = 2000
"""That one pass takes up of an exchange; the next pass goes on."""


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass did."""

    closed: Sequence[Closed] = ()
    found: int = 0
    attempts: int = 0
    records: int = 0
    """Trades and candles that were read again."""

    @property
    def did_something(self) -> bool:
        return bool(self.closed or self.found or self.records)


Progress = Callable[[int, int, str], None]
"""(gaps done, gaps in all, what is being read)."""


async def repair(
    desk: Desk,
    *,
    only: Filter = EVERYTHING,
    everything: bool = False,
    find_days: int = FIND_DAYS,
    without: frozenset[Defence] = frozenset(),
    progress: Progress = lambda *_: None,
) -> Repaired:
    """One pass. ``everything``: also what is not due yet.

    Raises psycopg.Error, RedisError and NotStored; an exchange that is away is a word in the ledger.
    """
    grace = 0.0 if everything else FIRST_SECONDS
    behind = await desk.behind()
    look = partial(settle, asked=desk.asked, only=only, grace_seconds=grace, behind=behind)
    before = await desk.ask(look, desk.clock.market(), find_days=find_days)
    if Defence.REPAIR in without:
        return Repaired(closed=before.closed, found=before.found)
    due = await _due(desk, only, everything=everything)
    work = _Pass(desk, sum(map(len, due.values())), progress)
    outcomes = await asyncio.gather(
        *(work.exchange(exchange, gaps) for exchange, gaps in due.items()), return_exceptions=True
    )
    after = await desk.ask(look, desk.clock.market(), find_days=0)
    judged = await work.judge()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return Repaired(
        closed=[*before.closed, *after.closed, *judged],
        found=before.found + after.found,
        attempts=work.done,
        records=work.records,
    )


async def _due(desk: Desk, only: Filter, *, everything: bool) -> dict[str, list[LedgerGap]]:
    due: dict[str, list[LedgerGap]] = defaultdict(list)
    after = 0
    while page := await desk.ask(open_gaps, after=after, limit=PAGE, only=only):
        after = page[-1].gap_id
        for gap in page:
            if (
                len(due[gap.exchange]) < MOST_GAPS
                and _can_be_told(gap, desk)
                and (everything or _is_due(gap))
            ):
                due[gap.exchange].append(gap)
    return {exchange: gaps for exchange, gaps in due.items() if gaps}


def _can_be_told(gap: LedgerGap, desk: Desk) -> bool:
    """The exchange is one of ours, and a minute that is asked for is over."""
    if gap.channel is Channel.CANDLE and not are_over(minutes_of(gap.since, gap.until), desk.clock.market()):
        return False
    return gap.exchange in desk.reaches


def _is_due(gap: LedgerGap) -> bool:
    return is_due(gap.attempts, gap.detected_seconds_ago, gap.attempted_seconds_ago)


class _Pass:
    """The gaps of one pass, exchange by exchange at the same time."""

    def __init__(self, desk: Desk, gaps: int, progress: Progress) -> None:
        self.done = 0
        self.records = 0
        self._desk = desk
        self._gaps = gaps
        self._progress = progress
        self._attempts: list[tuple[LedgerGap, Attempt]] = []

    async def exchange(self, key: str, gaps: Sequence[LedgerGap]) -> None:
        """One after the other, and then wait until all that was read is stored."""
        counter = self._desk.counter(key)
        try:
            for gap in gaps:
                if self._desk.stop.is_set():
                    return
                self._progress(self.done, self._gaps, _name(gap))
                await self._desk.ask(note_attempt, gap.gap_id)
                attempt = await self._attempt(gap, counter)
                self._attempts.append((gap, attempt))
                self.done += 1
                if attempt.unreachable:
                    break  # the exchange is away: the others are not asked for in vain
            await counter.stored()
        finally:
            self.records += counter.records
        self._progress(self.done, self._gaps, key)

    async def _attempt(self, gap: LedgerGap, counter: Counter) -> Attempt:
        reach = self._desk.reaches[gap.exchange]
        match proof_of(gap.channel, numbered=gap.first is not None and gap.symbol is not None):
            case Proof.NUMBERS:
                return await TradesAgain(self._desk, reach, counter).read(gap)
            case Proof.NO_HOLE:
                return await QuietAgain(self._desk, reach, counter).read(gap)
            case Proof.MINUTES:
                return await CandlesAgain(self._desk, reach, counter).read(gap)
            case _:  # settled by the next look
                return Attempt()

    async def judge(self) -> list[Closed]:
        """Write what is to be said of those that are still open."""
        numbered = [gap for gap, attempt in self._attempts if attempt.left_out]
        remaining = await self._desk.ask(remaining_numbers, numbered)
        closed = []
        for gap, attempt in self._attempts:
            left = remaining.get(gap.gap_id, attempt.left_out)
            if left - attempt.left_out:
                continue  # not all of it was asked for, or it is not stored yet
            if attempt.left_out and not left:
                continue  # somebody else brought it meanwhile: the next look closes it
            attempt = msgspec.structs.replace(attempt, left_out=left)  # noqa: PLW2901
            age = (self._desk.clock.market() - gap.until) / MICROSECONDS
            verdict = judge(attempt, gap.attempts + 1, age, gap.verdict)
            if verdict.state is State.OPEN:
                if verdict.words:
                    await self._desk.ask(say_of_gap, gap.gap_id, verdict.words)
            elif await self._desk.ask(close_gap, gap.gap_id, verdict, left or None):
                closed.append(Closed(gap, verdict.state, ""))
        return closed


def _name(gap: LedgerGap) -> str:
    return " ".join(filter(None, (gap.exchange, gap.symbol, gap.channel)))

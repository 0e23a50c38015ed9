"""When a repair is worth beginning, and one that goes on until nothing more is due.

A repair that is begun for one gap takes up all that are due; one that an exchange left without an answer
is begun again after a pause, not at every look.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.gaps import LedgerGap, open_counts, open_gaps, try_to_lead
from trade_platform.domain.defences import Defence
from trade_platform.domain.gaps import FIRST_SECONDS, State, are_over, is_due, minutes_of, pause_seconds
from trade_platform.domain.model import Channel
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.operations.desk import Desk
from trade_platform.operations.gaps import FIND_DAYS, PAGE

PAGES: Final = 10
"""So many pages of open gaps are looked at: what lies behind them is found by a repair itself."""
SOON_SECONDS: Final = 3.0
"""What a run takes to begin: a gap that is due then is worth asking for now."""
MOST_PAUSE_SECONDS: Final = 300.0
"""An exchange that is away is asked again at least so often."""
PASSES: Final = 20
"""What a pass finds, the next one repairs; the rest is left to the next run."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair would take up."""

    gaps: int = 0
    exchanges: tuple[str, ...] = ()
    oldest_seconds: float = 0.0
    key: str = ""
    """Names these gaps as they stand, attempts included: the same key is the same work."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What the passes of one repair came to."""

    repaired: int = 0
    unrepairable: int = 0
    open: int = 0
    found: int = 0
    """Holes that nobody had noted."""
    attempts: int = 0
    records: int = 0
    """Trades and candles read again."""
    passes: int = 0
    busy: bool = False
    """Another process repairs: nothing was done."""


def due_for_repair(connection: Connection, market_time: int) -> Due:
    """The gaps that are due by the time that a run has begun, of exchanges that are not to be left alone."""
    by_exchange: dict[str, list[LedgerGap]] = defaultdict(list)
    after = 0
    for _ in range(PAGES):
        page = open_gaps(connection, after=after, limit=PAGE)
        for gap in page:
            by_exchange[gap.exchange].append(gap)
        if len(page) < PAGE:
            break
        after = page[-1].gap_id
    due = [gap for gaps in by_exchange.values() for gap in _worth_a_run(gaps, market_time)]
    if not due:
        return Due()
    content = ",".join(f"{gap.gap_id}:{gap.attempts}" for gap in sorted(due, key=lambda gap: gap.gap_id))
    return Due(
        gaps=len(due),
        exchanges=tuple(sorted({gap.exchange for gap in due})),
        oldest_seconds=max(gap.detected_seconds_ago for gap in due),
        key=hashlib.sha256(content.encode()).hexdigest()[:24],
    )


def _worth_a_run(gaps: Sequence[LedgerGap], market_time: int) -> list[LedgerGap]:
    """Of one exchange; what was due when it was asked last, and was not taken up, shows that it is away."""
    due = [gap for gap in gaps if _is_due(gap) and _can_be_told(gap, market_time)]
    attempted = [gap for gap in gaps if gap.attempted_seconds_ago is not None]
    if not due or not attempted:
        return due
    last = min(attempted, key=lambda gap: gap.attempted_seconds_ago or 0.0)
    asked_ago = last.attempted_seconds_ago or 0.0
    if asked_ago >= min(pause_seconds(max(gap.attempts for gap in attempted)), MOST_PAUSE_SECONDS):
        return due
    return [] if all(_was_due(gap, asked_ago) for gap in due) else due


def _is_due(gap: LedgerGap) -> bool:
    attempted = gap.attempted_seconds_ago
    later = None if attempted is None else attempted + SOON_SECONDS
    return is_due(gap.attempts, gap.detected_seconds_ago + SOON_SECONDS, later)


def _was_due(gap: LedgerGap, seconds_ago: float) -> bool:
    """Then already."""
    if gap.attempted_seconds_ago is None:
        return gap.detected_seconds_ago - seconds_ago >= FIRST_SECONDS
    return gap.attempted_seconds_ago - seconds_ago >= pause_seconds(gap.attempts)


def _can_be_told(gap: LedgerGap, market_time: int) -> bool:
    if gap.channel is Channel.CANDLE and not are_over(minutes_of(gap.since, gap.until), market_time):
        return False
    return not gap.exchange or gap.exchange in EXCHANGES


async def repair_due(
    desk: Desk, *, find_days: int = FIND_DAYS, without: frozenset[Defence] = frozenset()
) -> Done:
    """Passes until nothing happens and nothing will be due soon.

    Raises psycopg.Error, RedisError and NotStored; an exchange that is away is a word in the ledger.
    """
    from trade_platform.operations.repair import repair  # noqa: PLC0415  an HTTP client: sensors need none

    if not await desk.ask(try_to_lead):
        return Done(busy=True, open=await desk.ask(_open))
    done = Done()
    while done.passes < PASSES and not desk.stop.is_set():
        pass_ = await repair(desk, find_days=find_days if not done.passes else 0, without=without)
        states = [one.state for one in pass_.closed]
        done = Done(
            repaired=done.repaired + states.count(State.REPAIRED),
            unrepairable=done.unrepairable + states.count(State.UNREPAIRABLE),
            found=done.found + pass_.found,
            attempts=done.attempts + pass_.attempts,
            records=done.records + pass_.records,
            passes=done.passes + 1,
        )
        if Defence.REPAIR in without:
            break
        due = await desk.ask(due_for_repair, desk.clock.market())
        if not due.gaps and not pass_.did_something:
            break
        if not pass_.did_something and await desk.pause(SOON_SECONDS):
            break
    return msgspec.structs.replace(done, open=await desk.ask(_open))


def _open(connection: Connection) -> int:
    counts, _ = open_counts(connection)
    return sum(counts.values())

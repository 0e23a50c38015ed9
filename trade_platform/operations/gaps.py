"""The ledger of gaps, settled by proof: what coverage shows to be held is closed, what is missing is named.

``settle`` asks PostgreSQL alone and changes nothing but the ledger. It may be called at any time and by
several at once: what it writes follows from what is stored. Sources are asked by ``repair``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

import msgspec

from trade_platform.adapters.database.backfill import one_runs
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.coverage_holes import (
    Unnamed,
    broken_coverage,
    settled_sequence,
    time_of,
    was_read_late,
)
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.database.gap_proof import (
    Around,
    a_missing_minute,
    named_numbers,
    remaining_numbers,
    trades_around,
)
from trade_platform.adapters.database.gaps import (
    EVERYTHING,
    Filter,
    LedgerGap,
    close_gap,
    narrow_gaps,
    open_gaps,
    say_of_gap,
    split_gap,
)
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.coverage import Ranges, Span
from trade_platform.domain.gaps import (
    FIRST_SECONDS,
    NOT_SERVED_AGAIN,
    Proof,
    Source,
    State,
    Verdict,
    are_over,
    in_words,
    inner_holes,
    minutes_of,
    proof_of,
)
from trade_platform.domain.model import Channel, Gap, GapReason

FIND_DAYS: Final = 2
"""Coverage of so many days, today among them, is searched for holes that nobody noted."""
FLIGHT_SECONDS: Final = 10.0
"""So much of the market must lie behind a hole: until then it may be filled in flight."""
MOST_FOUND: Final = 1000
"""Holes that one look adds to the ledger; the next look adds more."""
PAGE: Final = 500
FOUND: Final = "found in coverage"

Asked: TypeAlias = Mapping[tuple[str, str, Channel], tuple[int, int | None]]
"""(exchange, symbol, channel) → (market time of the question, the newest number that REST told; None: it
tells nothing more of it): how an instrument that has not traded since a break is told from a silent one."""


class Closed(msgspec.Struct, frozen=True):
    """One gap whose life ended now."""

    gap: LedgerGap
    state: State
    by: str


class Settled(msgspec.Struct, frozen=True):
    """What one look changed."""

    closed: Sequence[Closed]
    found: int
    """Holes that nobody had noted."""

    @property
    def repaired(self) -> int:
        return sum(one.state is State.REPAIRED for one in self.closed)


def settle(
    connection: Connection,
    market_time: int,
    *,
    asked: Asked | None = None,
    only: Filter = EVERYTHING,
    find_days: int = FIND_DAYS,
    grace_seconds: float = FIRST_SECONDS,
    behind: frozenset[str] = frozenset(),
) -> Settled:
    """Close what is proven, narrow what is partly held, and note what coverage misses.

    ``behind``: exchanges of which not all is stored that their streams hold: of these nothing is closed
    that hangs on time, because what proves it open may still be under way.
    ``grace_seconds``: how old a break must be before the holes that it left are noted by number.
    """
    found = find(connection, market_time, only=only, days=find_days) if find_days else 0
    settling = _Settling(connection, market_time, asked or {}, grace_seconds, behind)
    after = 0
    while page := open_gaps(connection, after=after, limit=PAGE, only=only):
        after = page[-1].gap_id
        settling.take(page)
    return Settled(settling.closed, found + settling.named)


def find(
    connection: Connection, market_time: int, *, only: Filter = EVERYTHING, days: int = FIND_DAYS
) -> int:
    """Add a row for each hole in coverage that no row names and that is not in flight; returns how many.

    Where a backfill ends, nothing is missing: what lies beyond it was never asked for.
    """
    count, after = 0, ("", "", "")
    first_day = day_of(market_time) - timedelta(days=days - 1)
    backfilling = one_runs(connection)
    while count < MOST_FOUND and (
        page := broken_coverage(connection, first_day, only.exchanges, only.symbols, after=after)
    ):
        after = page[-1].key
        for one in page:
            count += _note(connection, one, market_time, MOST_FOUND - count, backfilling=backfilling)
    return count


def _note(connection: Connection, one: Unnamed, market_time: int, most: int, *, backfilling: bool) -> int:
    settled = settled_sequence(connection, one, market_time, FLIGHT_SECONDS)
    if settled is None:
        return 0
    gaps: list[Gap] = []
    for span in inner_holes(one.held, one.named, settled):
        if len(gaps) >= most:
            break
        if _is_border(connection, one, span, backfilling=backfilling):
            continue
        times = time_of(connection, one, span[0] - 1), time_of(connection, one, span[1])
        gaps.append(_numbered(one.symbol, one.channel, span, times))
    return write_gaps(connection, one.exchange, gaps)


def _is_border(connection: Connection, one: Unnamed, hole: Span, *, backfilling: bool) -> bool:
    """What a backfill brought lies beside it: the first trade after its last day, the last before its first.

    ``backfilling``: one runs now, and its day may end anywhere yet.
    """
    before, behind = hole[0] - 1, hole[1]
    return ((backfilling or before in one.firsts) and was_read_late(connection, one, before)) or (
        (backfilling or behind in one.lasts) and was_read_late(connection, one, behind)
    )


def _numbered(symbol: str, channel: Channel, span: tuple[int, int], times: tuple[int, int]) -> Gap:
    since, until = times
    return Gap(
        *(symbol, channel, GapReason.SEQUENCE, span[0], span[1] - 1, since, max(since, until)), detail=FOUND
    )


def is_quiet(asked: Asked, gap: LedgerGap, one: Around) -> bool:
    """REST told after the break that nothing is newer than what we hold."""
    assert gap.channel is not None
    asked_at, newest = asked.get((gap.exchange, one.symbol, gap.channel), (-1, None))
    return asked_at >= gap.until and (newest is None or one.newest >= newest)


class _Settling:
    """One pass over the open gaps."""

    def __init__(
        self, connection: Connection, market_time: int, asked: Asked, grace: float, behind: frozenset[str]
    ) -> None:
        self.closed: list[Closed] = []
        self.named = 0
        self._connection = connection
        self._market_time = market_time
        self._asked = asked
        self._grace = grace
        self._behind = behind

    def take(self, page: Sequence[LedgerGap]) -> None:
        numbered = []
        for gap in page:
            match proof_of(gap.channel, numbered=gap.first is not None and gap.symbol is not None):
                case Proof.NUMBERS:
                    numbered.append(gap)
                case Proof.NONE:
                    self._close(gap, Verdict(State.UNREPAIRABLE, NOT_SERVED_AGAIN))
                case _ if gap.exchange in self._behind:
                    continue
                case _ if not gap.exchange:  # events of all exchanges
                    self._close(gap, Verdict(State.UNREPAIRABLE, NOT_SERVED_AGAIN))
                case Proof.NO_HOLE:
                    self._no_hole(gap)
                case Proof.MINUTES:
                    self._minutes(gap)
                case Proof.EACH_CHANNEL:
                    self._each_channel(gap)
        self._numbers(numbered)

    def _numbers(self, gaps: Sequence[LedgerGap]) -> None:
        remaining = remaining_numbers(self._connection, gaps)
        narrowed = []
        for gap in gaps:
            left = remaining[gap.gap_id]
            if left:
                narrowed.append((gap.gap_id, left))
            else:
                words = f"{in_words(gap.expected)} held"
                self._close(gap, Verdict(State.REPAIRED, words, Source.STREAMER), Ranges())
        narrow_gaps(self._connection, narrowed)

    def _no_hole(self, gap: LedgerGap) -> None:
        assert gap.channel is not None
        around = trades_around(self._connection, gap, gap.channel)
        broken = [one for one in around if one.missing]
        waiting = [one.symbol for one in around if not one.passed and not self._is_quiet(gap, one)]
        if broken or waiting:
            self._name(gap, gap.channel, broken)
            say_of_gap(self._connection, gap.gap_id, _why_open(broken, waiting))
            return
        words = f"no number is missing of {len(around)} instruments"
        self._close(gap, Verdict(State.REPAIRED, words, Source.STREAMER))

    def _is_quiet(self, gap: LedgerGap, one: Around) -> bool:
        return is_quiet(self._asked, gap, one)

    def _name(self, gap: LedgerGap, channel: Channel, broken: Sequence[Around]) -> None:
        """Holes that a break in time left behind become gaps of their own, by number."""
        if gap.detected_seconds_ago < self._grace:
            return
        named = named_numbers(self._connection, gap.exchange, [one.symbol for one in broken], channel)
        for one in broken:
            gaps = [
                _numbered(one.symbol, channel, span, (gap.since, gap.until))
                for span in (one.missing - named.get(one.symbol, Ranges())).spans[:MOST_FOUND]
            ]
            if gaps:
                self.named += write_gaps(self._connection, gap.exchange, gaps)

    def _minutes(self, gap: LedgerGap) -> None:
        minutes = minutes_of(gap.since, gap.until)
        if not are_over(minutes, self._market_time):
            return
        if missing := a_missing_minute(self._connection, gap, minutes):
            if not gap.attempts:
                symbol, opening = missing
                words = f"no closed candle of {symbol} at {opening:%H:%M}, for one"
                say_of_gap(self._connection, gap.gap_id, words)
            return
        words = (
            f"a closed candle is held of each of {minutes.count:,} minutes"
            if minutes.count
            else "no minute ended in it"
        )
        self._close(gap, Verdict(State.REPAIRED, words, Source.STREAMER))

    def _each_channel(self, gap: LedgerGap) -> None:
        days = [day_of(gap.since) - timedelta(days=1), day_of(gap.until) + timedelta(days=1)]
        if not split_gap(self._connection, gap, days):
            self._close(gap, Verdict(State.REPAIRED, "nothing was recorded then", Source.STREAMER))

    def _close(self, gap: LedgerGap, verdict: Verdict, remaining: Ranges | None = None) -> None:
        if close_gap(self._connection, gap.gap_id, verdict, remaining):
            by = gap.repaired_by or (verdict.by.value if verdict.by else "")
            self.closed.append(Closed(gap, verdict.state, by))


def _why_open(broken: Sequence[Around], waiting: Sequence[str]) -> str:
    if broken:
        count = sum(one.missing.count for one in broken)
        return f"{count:,} numbers missing of {len(broken):,} instruments"
    more = f" and {len(waiting) - 1:,} more" if len(waiting) > 1 else ""
    return f"waits for the next trade of {waiting[0]}{more}"

"""``gaps repair`` for a person: passes until nothing more can be done now."""

from __future__ import annotations

from contextlib import closing

import msgspec

from trade_platform.adapters.database.catalogue import unknown_symbols
from trade_platform.adapters.database.connection import Connection, SchemaBehind
from trade_platform.adapters.database.gaps import Filter, open_gaps, reopen_gaps, try_to_lead
from trade_platform.adapters.process import CannotStart, stop_event
from trade_platform.commands.gap_table import counted
from trade_platform.domain.gaps import State
from trade_platform.operations.desk import Desk
from trade_platform.operations.repair import Progress, Repaired, repair
from trade_platform.repair_desk import desk_from, open_database
from trade_platform.settings import Settings

PASSES = 5
"""What a pass finds, the next one repairs; a hole that opens while it is looked at is the watch's."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said at the end."""

    repaired: int
    unrepairable: int
    open: int
    records: int

    @property
    def good(self) -> bool:
        return not self.open and not self.unrepairable

    @property
    def words(self) -> str:
        count = self.repaired + self.unrepairable + self.open
        words = f"{counted(count)}, {self.repaired:,} repaired, {self.open:,} open"
        if self.unrepairable:
            words += f", {self.unrepairable:,} beyond repair"
        words += f"; {self.records:,} trades and candles read again"
        return f"{words}." if self.good else f"{words}; `trade-platform gaps` says why."


def check_symbols(connection: Connection, only: Filter) -> None:
    """Raises CannotStart where a name is mistyped: nothing would be found, and all would look well."""
    if unknown := unknown_symbols(connection, only.symbols, only.exchanges):
        where = f" at {', '.join(only.exchanges)}" if only.exchanges else ""
        raise CannotStart(f"Nothing is known of {', '.join(unknown)}{where}.")


async def repair_once(
    settings: Settings, only: Filter, *, days: int, again: bool, progress: Progress
) -> Outcome:
    """Raises CannotStart, NotStored, psycopg.Error, RedisError."""
    stop = stop_event()
    try:
        connection = open_database(settings, "repair")
    except SchemaBehind as error:
        raise CannotStart(f"{error}.") from error
    with closing(connection):
        check_symbols(connection, only)
        if not try_to_lead(connection):
            raise CannotStart(
                "Another process repairs already, `gaps repair --watch` perhaps: "
                "`trade-platform gaps` shows how far it is."
            )
        if again:
            reopen_gaps(connection, only)
        async with desk_from(settings, connection, stop) as desk:
            return await _passes(desk, settings, only, days, progress)


async def _passes(desk: Desk, settings: Settings, only: Filter, days: int, progress: Progress) -> Outcome:
    done: list[Repaired] = []
    while len(done) < PASSES and not desk.stop.is_set():
        done.append(
            await repair(
                desk,
                only=only,
                everything=True,
                find_days=days,
                without=settings.without,
                progress=progress,
            )
        )
        if not done[-1].did_something:
            break
    states = [one.state for each in done for one in each.closed]
    return Outcome(
        repaired=states.count(State.REPAIRED),
        unrepairable=states.count(State.UNREPAIRABLE),
        open=await _open(desk, only),
        records=sum(each.records for each in done),
    )


async def _open(desk: Desk, only: Filter) -> int:
    count = after = 0
    while page := await desk.ask(open_gaps, after=after, only=only):
        count, after = count + len(page), page[-1].gap_id
    return count

"""Reconciles an account: what we hold against what its exchange tells, and the arithmetic of its wallet.

A difference is raised when it was seen twice. It is healed by handing what the exchange told to the account's
stream: processors stay the only writers of books, and nothing is invented. What that does not heal is left
for a person, under a name that is the same whenever it is found again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

from trade_platform.adapters.database.account_rows import load_held, load_known, load_opening
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import (
    EXPLAINED,
    HEALED,
    MANUAL,
    OPEN,
    Explained,
    Raised,
    Run,
    StoredRun,
    close_vanished,
    discrepancies,
    last_run,
    load_explained,
    save_raised,
    save_run,
    save_suspense,
)
from trade_platform.adapters.database.valuations import load_valuation
from trade_platform.domain.account_books import Entry, key_of, newest_of
from trade_platform.domain.account_proof import Opening, Proof, prove
from trade_platform.domain.accounts import Balance, Movement
from trade_platform.domain.difference import Difference, Subject, identity_of
from trade_platform.domain.healing import Healing, healing_of
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE
from trade_platform.domain.observing import seen_again
from trade_platform.domain.reconciliation import AHEAD, GUARD, HISTORIES, Held, State, Told, rows_of
from trade_platform.domain.suspense import Suspended
from trade_platform.domain.valuation import Valuation
from trade_platform.domain.wallet import Line
from trade_platform.operations.account_desk import AccountDesk
from trade_platform.operations.asking_accounts import ASKED, Heard, hear, look_up

Identity: TypeAlias = tuple[str, str, str]
"""Of a difference."""

CONFIRM_SECONDS: Final = 4.0
"""Between two looks at what differs: longer than what is on its way takes."""
OVERLAP: Final = 60 * MINUTE
"""A run begins so long before the end of the last one."""
LONGEST: Final = 7 * DAY
"""How far back a run goes by itself, for what is open."""
LATE: Final = MINUTE
"""A row of a ledger may appear so long after its time."""


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to. Times: microseconds UTC, market time."""

    account: str
    exchange: str
    at: int
    since: int
    until: int
    states: Mapping[Subject, State]
    raised: Sequence[Raised]
    pending: Sequence[Difference]
    """Seen once, gone at the second look or still changing."""
    suspended: Sequence[Suspended]
    lines: Sequence[Line]
    compared: int
    skipped: int
    ledger: int
    """Rows of the exchange's ledger that were read for the first time."""
    words: Sequence[str]

    @property
    def healed(self) -> int:
        return sum(one.state == HEALED for one in self.raised)

    @property
    def open(self) -> int:
        return sum(one.state in (OPEN, MANUAL) for one in self.raised)

    @property
    def unknown(self) -> list[Subject]:
        return [subject for subject, state in self.states.items() if state is State.UNKNOWN]


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides at one moment."""

    held: Held
    opening: Opening
    valuation: Valuation
    told: Told
    proof: Proof


async def reconcile(
    desk: AccountDesk,
    *,
    since: int | None = None,
    until: int | None = None,
    occasion: str = "asked",
    heal: bool = True,
    confirm_seconds: float = CONFIRM_SECONDS,
) -> Reconciled:
    """Compare, look again, heal, note. Without ``since``: from the last run on, and all that is open.

    Raises psycopg.Error, RedisError, NotStored; an exchange that does not answer is said in the outcome.
    """
    at = desk.clock.market()
    asked_until = None if until is None or until >= at else until
    since = since if since is not None else await desk.ask(_begin, at)
    known = await desk.ask(load_known)
    heard = await hear(desk, known, since, asked_until)
    ledger = await _read_ledger(desk, heard, since)
    first = await _look(desk, heard)
    last, observations = first, [first.proof.differences]
    if first.proof.differences:
        await asyncio.sleep(confirm_seconds)
        again = await hear(desk, known, since, asked_until, _asked_again(first.proof))
        ledger += await _read_ledger(desk, again, since)
        heard = heard.renewed(again)
        last = await _look(desk, heard)
        observations.append(last.proof.differences)
    confirmed, pending = seen_again(observations)
    raised, words, after = await _heal(desk, confirmed, last) if heal else ([], [], last)
    if not heal:
        raised = [_raised(desk, one, last, OPEN) for one in confirmed]
    raised = _as_explained(raised, await desk.ask(load_explained))
    outcome = Reconciled(
        account=desk.account,
        exchange=desk.owner.exchange,
        at=at,
        since=since,
        until=at if asked_until is None else asked_until,
        states=_states(after.proof, pending),
        raised=raised,
        pending=pending,
        suspended=after.proof.suspended,
        lines=after.proof.lines,
        compared=after.proof.compared,
        skipped=after.proof.skipped,
        ledger=ledger,
        words=[*heard.words, *words],
    )
    await desk.ask(_note, outcome, occasion)
    return outcome


def _begin(connection: Connection, owner: Owner, at: int) -> int:
    """Where a run begins that was told nothing: before the end of the last, and before what is open."""
    previous: StoredRun | None = last_run(connection, owner)
    since = at - DAY if previous is None else previous.until - OVERLAP
    rows = [one.row_time for one in discrepancies(connection, owner) if one.row_time is not None]
    return max(min([since, *rows]), at - LONGEST)


async def _look(desk: AccountDesk, heard: Heard) -> _Look:
    told = heard.told()
    since = min(
        (heard.answers[subject].since for subject in HISTORIES if subject in heard.answers), default=0
    )
    held, opening, valuation = await desk.ask(_load, told, since, desk.clock.market())
    proof = prove(held, told, opening, exchange=desk.owner.exchange, valuation=valuation)
    return _Look(held=held, opening=opening, valuation=valuation, told=told, proof=proof)


def _load(
    connection: Connection, owner: Owner, told: Told, since: int, at: int
) -> tuple[Held, Opening, Valuation]:
    held, opening = load_held(connection, owner, since, at), load_opening(connection, owner, since)
    rows: list[Any] = [
        row for books in (held.books, told.books) for subject in ASKED for row in rows_of(subject, books)
    ]
    symbols = {row.symbol for row in rows if not isinstance(row, Balance | Movement)}
    assets = {row.asset for row in rows if isinstance(row, Balance | Movement)}
    return held, opening, load_valuation(connection, owner.exchange, symbols, assets, at)


def _asked_again(proof: Proof) -> set[Subject]:
    """What has to be asked anew to judge the differences."""
    subjects = {one.subject for one in proof.differences}
    if Subject.WALLET in subjects:
        subjects |= {Subject.FILLS, Subject.MOVEMENTS, Subject.BALANCES, Subject.POSITIONS}
    return subjects & set(ASKED)


async def _read_ledger(desk: AccountDesk, heard: Heard, since: int) -> int:
    """Rows that came since the ledger was last read are no discrepancy: nobody told them before."""
    answer = heard.answers.get(Subject.MOVEMENTS)
    if answer is None or not answer.whole:
        return 0
    previous = await desk.ask(last_run, with_movements=True)
    mark = since if previous is None else previous.until - LATE
    held = await desk.ask(load_held, since, desk.clock.market())
    known = newest_of(held.books.movements)
    new = [
        row
        for row in heard.records[Subject.MOVEMENTS]
        if isinstance(row, Movement) and row.event_time >= mark and key_of(row) not in known
    ]
    await desk.publish(new)
    return len(new)


async def _heal(
    desk: AccountDesk, confirmed: Sequence[Difference], look: _Look
) -> tuple[list[Raised], list[str], _Look]:
    """Publish what the exchange told, and look whether that was it."""
    if not confirmed:
        return [], [], look
    healing = healing_of(confirmed, look.held.books, look.told, _asked_at(look.told))
    found, words = await look_up(desk, healing.look_up)
    await desk.publish([*healing.add, *found])
    after, left = await _look_after(desk, look)
    raised = [
        _raised(desk, one, look, *_verdict(one, left, healing, len(found), desk.outlet.stream))
        for one in confirmed
    ]
    return raised, words, after


async def _look_after(desk: AccountDesk, look: _Look) -> tuple[_Look, dict[Identity, str | None]]:
    """Our side anew against what was told before, and what each difference says now.

    What has just been added is new by its time, and compared all the same.
    """
    now = desk.clock.market()
    held, opening, valuation = await desk.ask(_load, look.told, _since_of(look.told), now)
    judge = partial(prove, held, look.told, opening, exchange=desk.owner.exchange, valuation=valuation)
    proof, at_once = judge(), judge(guard=_asked_at(look.told) - now - AHEAD)
    after = _Look(held=held, opening=opening, valuation=valuation, told=look.told, proof=proof)
    return after, {one.identity: one.ours for one in (*proof.differences, *at_once.differences)}


def _verdict(
    one: Difference, left: Mapping[Identity, str | None], healing: Healing, found: int, stream: str
) -> tuple[str, str]:
    """(state, reason). What no longer says what it said has moved on: by us, or by itself meanwhile."""
    added = len(healing.add) + found
    if one.identity not in left or left[one.identity] != one.ours:
        return HEALED, f"What the exchange told was added to {stream} ({added} records); they agree now."
    if (one.subject, one.key) in healing.too_many:
        return MANUAL, "We hold a row that the exchange does not: nothing that could be added heals that."
    if one.subject is Subject.WALLET:
        return MANUAL, "No row explains it: it waits in suspense."
    return MANUAL, "What the exchange told was added, and what we hold still says something else."


def _raised(desk: AccountDesk, one: Difference, look: _Look, state: str, reason: str = "") -> Raised:
    return Raised(
        identity=identity_of(desk.owner.exchange, desk.account, one),
        difference=one,
        row_time=_row_time(one, look),
        state=state,
        reason=reason,
    )


def _as_explained(raised: Sequence[Raised], explained: Mapping[UUID, Explained]) -> list[Raised]:
    """What a person has explained stays so while both sides say the same as then."""
    found = []
    for one in raised:
        known = explained.get(one.identity)
        values = one.difference.ours, one.difference.theirs
        if known is not None and one.state != HEALED and (known.ours, known.theirs) == values:
            found.append(msgspec.structs.replace(one, state=EXPLAINED, reason=known.reason))
        else:
            found.append(one)
    return found


def _row_time(one: Difference, look: _Look) -> int | None:
    """When the row happened; of the wallet, from when on it does not come out."""
    if one.subject is Subject.WALLET:
        return _since_of(look.told)
    if one.subject not in HISTORIES:
        return None
    sides = (look.told.books, look.held.books)
    times = [row.event_time for books in sides for row in _of_key(rows_of(one.subject, books), one.key)]
    return min(times, default=None)


def _of_key(rows: Iterable[Entry], key: str) -> list[Entry]:
    return [row for row in rows if key_of(row) == key]


def _since_of(told: Told) -> int:
    return min((told.answers[one].since for one in HISTORIES if one in told.answers), default=0)


def _asked_at(told: Told) -> int:
    return max(answer.at for answer in told.answers.values())


def _states(proof: Proof, pending: Sequence[Difference]) -> dict[Subject, State]:
    """What differs once and may still pass is no difference yet."""
    passing = {one.identity for one in pending}
    sure = {one.subject for one in proof.differences if one.identity not in passing}
    return {
        subject: State.OK if state is State.DIFFERS and subject not in sure else state
        for subject, state in proof.states.items()
    }


def _note(connection: Connection, owner: Owner, outcome: Reconciled, occasion: str) -> None:
    run = Run(
        at=outcome.at,
        since=outcome.since,
        until=outcome.until,
        occasion=occasion,
        states=outcome.states,
        compared=outcome.compared,
        skipped=outcome.skipped,
        raised=len(outcome.raised),
        healed=outcome.healed,
        pending=len(outcome.pending),
        words=outcome.words,
    )
    quiet = min(outcome.until, outcome.at - GUARD - MICROSECONDS)
    seen = [one.identity for one in outcome.raised]
    seen += [identity_of(outcome.exchange, outcome.account, one) for one in outcome.pending]
    save_run(connection, owner, run)
    save_raised(connection, owner, outcome.raised, outcome.at)
    close_vanished(connection, owner, run, seen, quiet)
    save_suspense(connection, owner, outcome.suspended, run, quiet)

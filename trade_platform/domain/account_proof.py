"""The whole proof of an account over a range of time: rows against rows, and the arithmetic of its wallet."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.domain.account_books import newest_of
from trade_platform.domain.accounts import Balance, Movement, MovementKind, Origin, Position
from trade_platform.domain.difference import Difference, Subject
from trade_platform.domain.reconciliation import GUARD, Answer, Held, State, Told, compare
from trade_platform.domain.suspense import Suspended, rest_of, suspense_of
from trade_platform.domain.valuation import NOTHING_KNOWN, Valuation
from trade_platform.domain.wallet import (
    Ledger,
    Line,
    WalletRule,
    account_for,
    chain,
    legs_of,
    positions_moved,
    rule_of,
    unexplained,
)

CLOSING_POSITIONS: Final = frozenset({MovementKind.SETTLEMENT, MovementKind.INSURANCE})
"""Rows of a symbol that may have moved its position without a fill: an expiry, a delivery."""

CLOSE: Final = 100_000
"""Microseconds: a balance and its reasons, of one event, may be stamped so far apart."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Where the arithmetic may begin."""

    balances: Sequence[Balance] = ()
    """Observations of the time before and within the range; a quiet one is chosen for each asset."""
    positions: Sequence[Position] = ()
    positions_at: int | None = None
    """When the account stood so; None: nobody knows."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    differences: Sequence[Difference]
    states: Mapping[Subject, State]
    suspended: Sequence[Suspended]
    lines: Sequence[Line]
    compared: int
    skipped: int


def prove(
    ours: Held,
    told: Told,
    opening: Opening,
    *,
    exchange: str,
    valuation: Valuation = NOTHING_KNOWN,
    guard: int = GUARD,
) -> Proof:
    """Everything that can be said about one account from both sides."""
    comparison = compare(ours, told, exchange=exchange, valuation=valuation, guard=guard)
    wallet = _Wallet(ours, told, opening, rule_of(exchange), valuation, guard)
    found = wallet.differences()
    states = {**comparison.states}
    if wallet.known:
        states[Subject.WALLET] = State.DIFFERS if found else State.OK
    elif Subject.BALANCES in told.answers:
        states[Subject.WALLET] = State.UNKNOWN
    return Proof(
        differences=[*comparison.differences, *found],
        states=states,
        suspended=wallet.suspended(),
        lines=wallet.lines,
        compared=comparison.compared,
        skipped=comparison.skipped,
    )


class _Wallet:
    """The arithmetic of one account."""

    def __init__(
        self, ours: Held, told: Told, opening: Opening, rule: WalletRule, valuation: Valuation, guard: int
    ) -> None:
        self._books = ours.books
        self._told = told
        self._opening = opening
        self._rule = rule
        self._valuation = valuation
        self._guard = guard
        self._legs = legs_of(rule, self._books.fills, self._books.movements, valuation.terms)
        self._moments = self._clear_moments()
        self.lines = self._lines()

    @property
    def known(self) -> bool:
        return bool(self.lines) or (self._rule.ledger is Ledger.CHAIN and bool(self._books.movements))

    def differences(self) -> list[Difference]:
        found = (
            [] if self._rule.ledger is Ledger.CHAIN else unexplained(self.lines, self._rule, self._valuation)
        )
        if self._rule.ledger is Ledger.CHAIN:
            found += chain(self._books.movements, self._rule, self._valuation)
            found += unexplained(self._ends(), self._rule, self._valuation)
        return found + self._positions()

    def suspended(self) -> list[Suspended]:
        answer = self._whole(Subject.FILLS) or self._whole(Subject.MOVEMENTS)
        if answer is None:
            return []
        until = min(answer.until, answer.at - self._guard)
        found = suspense_of(self._books, self._rule, self._valuation.terms, since=answer.since, until=until)
        lines = self._ends() if self._rule.ledger is Ledger.CHAIN else self.lines
        return [*found, *rest_of(lines, self._rule, answer.since)]

    def _lines(self) -> list[Line]:
        """For each asset from a clear opening to what the exchange says it holds now.

        Where it is moving just now, to the last clear moment before: a busy account never stands still.
        """
        answer = self._whole(Subject.BALANCES)
        if answer is None:
            return []
        told = {one.asset: one.total for one in newest_of(self._told.books.balances).values()}
        busy = self._busy(answer)
        lines = []
        for asset, moments in sorted(self._moments.items()):
            begun = self._opening_of(moments)
            last = next((one for one in reversed(moments) if one.event_time <= self._known_until), begun)
            if asset in busy and last is begun:
                continue
            end = last.event_time if asset in busy else None
            closing = last.total if asset in busy else told.get(asset, Decimal(0))
            legs = [
                leg
                for leg in self._legs
                if leg.asset == asset and begun.event_time < leg.at and (end is None or leg.at <= end)
            ]
            lines += account_for({asset: begun.total}, legs, {asset: closing})
        return lines

    def _busy(self, answer: Answer) -> set[str]:
        """Assets that moved around the question for balances, or since, by either side's word."""
        books = self._told.books
        theirs = legs_of(self._rule, books.fills, books.movements, self._valuation.terms)
        return {leg.asset for leg in (*self._legs, *theirs) if leg.at > answer.at - self._guard}

    @property
    def _history(self) -> Answer | None:
        """How what moves money was asked."""
        subject = Subject.FILLS if self._rule.ledger is Ledger.FILLS else Subject.MOVEMENTS
        return self._whole(subject)

    @property
    def _known_until(self) -> int:
        answer = self._history
        return 0 if answer is None else min(answer.until, answer.at) - self._guard

    def _opening_of(self, moments: Sequence[Balance]) -> Balance:
        """The last before the range, or the first within."""
        answer = self._history
        since = answer.since if answer else 0
        return next((one for one in reversed(moments) if one.event_time <= since), moments[0])

    def _clear_moments(self) -> dict[str, list[Balance]]:
        """Balances of which it is plain what they hold already, by asset, in order.

        One that the exchange streamed holds all that has its own time; one that was asked for was true at
        some moment around the question.
        """
        times: dict[str, list[int]] = {}
        for leg in sorted(self._legs, key=lambda leg: leg.at):
            times.setdefault(leg.asset, []).append(leg.at)
        said: dict[tuple[str, int], set[Decimal]] = {}
        for one in self._opening.balances:
            said.setdefault((one.asset, one.event_time), set()).add(one.total)
        found: dict[str, list[Balance]] = {}
        for one in sorted(self._opening.balances, key=lambda one: one.event_time):
            streamed = one.origin is Origin.STREAM
            near = CLOSE if streamed else self._guard
            moved = _around(times.get(one.asset, ()), one.event_time, near)
            if len(said[one.asset, one.event_time]) == 1 and not (
                moved - {one.event_time} if streamed else moved
            ):
                found.setdefault(one.asset, []).append(one)
        return found

    def _ends(self) -> list[Line]:
        """A chain's last balance of each asset against what the exchange says it holds now."""
        answer = self._whole(Subject.BALANCES)
        if answer is None:
            return []
        busy = self._busy(answer)
        last: dict[str, Movement] = {}
        for row in sorted(self._books.movements, key=lambda row: (row.sequence or 0, row.event_time)):
            if row.balance is not None:
                last[row.asset] = row
        closing = {one.asset: one.total for one in newest_of(self._told.books.balances).values()}
        return [
            Line(asset=asset, opening=row.balance, closing=closing.get(asset, Decimal(0)), changes={}, rows=1)
            for asset, row in sorted(last.items())
            if row.balance is not None and asset not in busy
        ]

    def _positions(self) -> list[Difference]:
        answer, begun = self._whole(Subject.POSITIONS), self._opening.positions_at
        if answer is None or begun is None or self._rule.ledger is Ledger.FILLS:
            return []
        fills = [one for one in self._books.fills if one.event_time > begun]
        moved = {
            row.symbol
            for row in self._books.movements
            if row.symbol and row.kind in CLOSING_POSITIONS and row.event_time > begun
        }
        busy = {
            one.symbol
            for one in self._books.fills
            if one.event_time > answer.at - self._guard or abs(one.event_time - begun) <= self._guard
        }
        closed = {one.symbol for one in fills if one.settlement}
        return positions_moved(
            self._opening.positions, fills, self._told.books.positions, but=frozenset(moved | busy | closed)
        )

    def _whole(self, subject: Subject) -> Answer | None:
        answer = self._told.answers.get(subject)
        return answer if answer is not None and answer.whole else None


def _around(times: Sequence[int], at: int, near: int) -> set[int]:
    """Moments, of ascending ones, that are no further away."""
    return set(times[bisect_left(times, at - near) : bisect_right(times, at + near)])

"""Asks an exchange all that it tells of an account; what it does not answer is unknown, never empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from trade_platform.adapters.database.times import moment
from trade_platform.adapters.vault_client import VaultRefused, VaultUnavailable
from trade_platform.domain.account_books import books_of
from trade_platform.domain.accounts import AccountRecord, Balance, OrderEvent, Position
from trade_platform.domain.difference import Subject
from trade_platform.domain.reconciliation import HISTORIES, Answer, Told
from trade_platform.exchanges.account import Ask, Known
from trade_platform.exchanges.session import ProtocolViolation, RestError
from trade_platform.operations.account_desk import AccountDesk

ASKED: Final = tuple(subject for subject in Subject if subject is not Subject.WALLET)


def no_answer() -> tuple[type[Exception], ...]:
    """What leaves a question unknown; anything else is a mistake of ours."""
    from trade_platform.adapters.rest import RestUnavailable  # noqa: PLC0415 - brings an HTTP client

    return RestError, RestUnavailable, VaultUnavailable, VaultRefused, ProtocolViolation


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange told, by subject, and in words what it did not."""

    records: Mapping[Subject, Sequence[AccountRecord]]
    answers: Mapping[Subject, Answer]
    words: Sequence[str]

    def told(self) -> Told:
        """As a comparison takes it."""
        return Told(
            books=books_of(
                record
                for subject, records in self.records.items()
                if subject is not Subject.OPEN_ORDERS
                for record in records
            ),
            open_orders=[
                one for one in self.records.get(Subject.OPEN_ORDERS, ()) if isinstance(one, OrderEvent)
            ],
            answers=self.answers,
        )

    def renewed(self, later: Heard) -> Heard:
        """The same, with what was asked again."""
        return Heard(
            records={**self.records, **later.records},
            answers={**self.answers, **later.answers},
            words=list(dict.fromkeys([*self.words, *later.words])),
        )


async def hear(
    desk: AccountDesk, known: Known, since: int, until: int | None, subjects: Iterable[Subject] = ASKED
) -> Heard:
    """Ask; states first, because they may name instruments of whose history nothing is known yet.

    ``until`` None: histories until the moment of their question, which comes after that for balances.
    """
    inquiry = _Inquiry(desk, known, since, until)
    for subject in sorted(subjects, key=ASKED.index):
        if subject not in HISTORIES:
            await inquiry.put(subject)
    for subject in sorted(subjects, key=ASKED.index):
        if subject in HISTORIES:
            await inquiry.put(subject)
    return Heard(records=inquiry.records, answers=inquiry.answers, words=inquiry.words)


class _Inquiry:
    """One round of questions."""

    def __init__(self, desk: AccountDesk, known: Known, since: int, until: int | None) -> None:
        self.records: dict[Subject, Sequence[AccountRecord]] = {}
        self.answers: dict[Subject, Answer] = {}
        self.words: list[str] = []
        self._desk = desk
        self._symbols = set(known.symbols)
        self._assets = set(known.assets)
        self._since = since
        self._until = until

    async def put(self, subject: Subject) -> None:
        """One subject, wholly or not at all."""
        at = self._desk.clock.market()
        since = self._reach(subject, at)
        until = at if self._until is None else self._until
        asks = self._asks(subject, since, until)
        answer = Answer(at=at, since=since, until=until, served=bool(asks))
        found: list[AccountRecord] = []
        for ask in asks:
            try:
                found += await self._desk.rest.all(ask)
            except no_answer() as error:
                answer = msgspec.structs.replace(answer, problem=str(error) or type(error).__name__)
                self.words.append(f"{subject.value}: {ask.what} could not be asked: {error}")
                break
        self.answers[subject] = answer
        self.records[subject] = found
        self._learn(found)

    def _reach(self, subject: Subject, at: int) -> int:
        """From when on it can be asked; what lies before is said to be out of reach."""
        if subject not in HISTORIES:
            return self._since
        reach = self._desk.exchange.reach(subject.value, at)
        if reach <= self._since:
            return self._since
        self.words.append(
            f"{subject.value}: the exchange tells nothing of before {_day(reach)}; what we hold of that time "
            "cannot be compared any more."
        )
        return reach

    def _asks(self, subject: Subject, since: int, until: int) -> list[Ask]:
        exchange = self._desk.exchange
        known = Known(symbols=frozenset(self._symbols), assets=frozenset(self._assets))
        match subject:
            case Subject.OPEN_ORDERS:
                return exchange.open_orders()
            case Subject.BALANCES:
                return exchange.balances()
            case Subject.POSITIONS:
                return exchange.positions()
            case Subject.ORDERS:
                return exchange.orders(known, since, until)
            case Subject.FILLS:
                return exchange.fills(known, since, until)
            case _:
                return exchange.movements(known, since, until)

    def _learn(self, found: Iterable[AccountRecord]) -> None:
        for record in found:
            if isinstance(record, OrderEvent | Position):
                self._symbols.add(record.symbol)
            elif isinstance(record, Balance):
                self._assets.add(record.asset)


async def look_up(desk: AccountDesk, orders: Iterable[OrderEvent]) -> tuple[list[AccountRecord], list[str]]:
    """How orders ended that wait no longer, and what could not be found out."""
    found: list[AccountRecord] = []
    words = []
    for order in orders:
        told: list[AccountRecord] = []
        try:
            for ask in desk.exchange.order(order.symbol, order.order_id):
                told += await desk.rest.all(ask)
        except no_answer() as error:
            words.append(f"Order {order.order_id} of {order.symbol} could not be asked: {error}")
        found += told
        if not told:
            words.append(f"The exchange does not know order {order.order_id} of {order.symbol} any more.")
    return found, words


def _day(at: int) -> str:
    when: datetime = moment(at)
    return f"{when:%Y-%m-%d %H:%M} UTC"

"""What came to a spot account and left it by no trade: deposits, withdrawals, transfers between wallets.

Spot has no ledger of all this: there are three lists, each with ids of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.accounts import Movement, MovementKind
from trade_platform.domain.model import DAY, MICROSECONDS
from trade_platform.exchanges.account import Ask, Page
from trade_platform.exchanges.amounts import checked_unsigned
from trade_platform.exchanges.binance.private.rows import decoded, reading
from trade_platform.exchanges.binance.private.walk import MILLISECOND, asked, span_of
from trade_platform.exchanges.binance.private.wire import Id, Milliseconds, Text, Word

WINDOW: Final = 90 * DAY
"""The longest that one question may be about, in microseconds."""
PAGE: Final = 1000
TRANSFERS_PAGE: Final = 100
CREDITED: Final = frozenset({1, 6})
"""States of a deposit that stands in the balance."""
UNDONE: Final = frozenset({1, 3, 5})
"""States of a withdrawal that is none: cancelled, rejected, failed."""
CONFIRMED: Final = "CONFIRMED"
INCOMING: Final = ("UMFUTURE_MAIN", "FUNDING_MAIN", "CMFUTURE_MAIN", "MARGIN_MAIN")
OUTGOING: Final = ("MAIN_UMFUTURE", "MAIN_FUNDING", "MAIN_CMFUTURE", "MAIN_MARGIN")


class DepositRow(msgspec.Struct, gc=False, rename={"asset": "coin", "time": "insertTime"}):
    id: Id | Word
    amount: Decimal
    asset: Word
    status: int
    time: Milliseconds


class WithdrawalRow(
    msgspec.Struct, gc=False, rename={"asset": "coin", "time": "applyTime", "fee": "transactionFee"}
):
    id: Id | Word
    amount: Decimal
    """Without the fee."""
    asset: Word
    status: int
    time: Word
    """``2019-10-12 11:12:02``, UTC."""
    fee: Decimal = Decimal(0)


class TransferRow(msgspec.Struct, gc=False, rename={"word": "type", "number": "tranId", "time": "timestamp"}):
    asset: Word
    amount: Decimal
    word: Word
    status: Text
    number: Id | Word
    time: Milliseconds


class Transfers(msgspec.Struct):
    rows: list[TransferRow] = []
    total: int = 0


_deposits = msgspec.json.Decoder(list[DepositRow])
_withdrawals = msgspec.json.Decoder(list[WithdrawalRow])
_transfers = msgspec.json.Decoder(Transfers)


Told: TypeAlias = tuple[int, list[Movement]]
"""How many rows there are (of this page; of transfers: of all), and those that count."""


@reading
def deposits(body: bytes, receive_time: int) -> Told:
    """What stands in the balance."""
    rows = decoded(_deposits, body)
    return len(rows), [
        Movement(
            movement_id=f"deposit:{row.id}",
            kind=MovementKind.DEPOSIT,
            word="deposit",
            asset=row.asset,
            change=checked_unsigned(row.amount),
            event_time=row.time * MILLISECOND,
            receive_time=receive_time,
        )
        for row in rows
        if row.status in CREDITED
    ]


@reading
def withdrawals(body: bytes, receive_time: int) -> Told:
    """What leaves is the amount and the fee, from when it was asked for."""
    rows = decoded(_withdrawals, body)
    return len(rows), [
        Movement(
            movement_id=f"withdrawal:{row.id}",
            kind=MovementKind.WITHDRAWAL,
            word="withdrawal",
            asset=row.asset,
            change=-checked_unsigned(row.amount) - checked_unsigned(row.fee),
            event_time=_microseconds(row.time),
            receive_time=receive_time,
            fee=checked_unsigned(row.fee),
        )
        for row in rows
        if row.status not in UNDONE
    ]


@reading
def transfers(body: bytes, receive_time: int) -> Told:
    """Between the wallets of one person."""
    answer = decoded(_transfers, body)
    return answer.total, [
        Movement(
            movement_id=f"{row.word}:{row.number}:{row.asset}",
            kind=MovementKind.TRANSFER,
            word=row.word,
            asset=row.asset,
            change=checked_unsigned(row.amount) * (-1 if row.word in OUTGOING else 1),
            event_time=row.time * MILLISECOND,
            receive_time=receive_time,
        )
        for row in answer.rows
        if row.status == CONFIRMED
    ]


def _microseconds(text: str) -> int:
    """Of a time as withdrawals have it."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise msgspec.ValidationError(f"{text[:40]!r} is no time") from error
    return int(moment.timestamp()) * MICROSECONDS


def _listed(
    what: str, path: str, read: Callable[[bytes, int], Told], since: int, until: int, offset: int = 0
) -> Ask:
    """Window by window, and of a full one page by page."""
    end = min(until, since + WINDOW)

    def page(body: bytes, receive_time: int) -> Page:
        count, movements = read(body, receive_time)
        further = None
        if count >= PAGE:
            further = _listed(what, path, read, since, until, offset + PAGE)
        elif end < until:
            further = _listed(what, path, read, end, until)
        return Page(records=movements, further=further)

    request = asked(path, 1, **_times(since, end), offset=offset, limit=PAGE)
    return Ask(what=what, request=request, read=page)


def _transferred(word: str, since: int, until: int, number: int = 1) -> Ask:
    """Likewise; pages have numbers here."""
    end = min(until, since + WINDOW)

    def page(body: bytes, receive_time: int) -> Page:
        total, movements = transfers(body, receive_time)
        further = None
        if total > number * TRANSFERS_PAGE:
            further = _transferred(word, since, until, number + 1)
        elif end < until:
            further = _transferred(word, end, until)
        return Page(records=movements, further=further)

    request = asked(
        "/sapi/v1/asset/transfer", 1, type=word, **_times(since, end), current=number, size=TRANSFERS_PAGE
    )
    return Ask(what=f"transfers {word}", request=request, read=page)


def _times(since: int, end: int) -> dict[str, int]:
    span = span_of(since, end)
    return {"startTime": span.since, "endTime": max(span.since, span.until - 1)}


def incoming(since: int, until: int) -> list[Ask]:
    """What came in [since, until) (microseconds UTC), as far as there are lists of it."""
    return [
        _listed("deposits", "/sapi/v1/capital/deposit/hisrec", deposits, since, until),
        *(_transferred(word, since, until) for word in INCOMING),
    ]


def outgoing(since: int, until: int) -> list[Ask]:
    """What left."""
    return [
        _listed("withdrawals", "/sapi/v1/capital/withdraw/history", withdrawals, since, until),
        *(_transferred(word, since, until) for word in OUTGOING),
    ]

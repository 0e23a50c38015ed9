"""What cannot be matched: it is kept by itself, with an age, until somebody or something explains it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.domain.account_books import KEYS, Books, order_key
from trade_platform.domain.accounts import Fill, Movement, MovementKind
from trade_platform.domain.valuation import Terms
from trade_platform.domain.wallet import Ledger, Line, WalletRule, off

OF_FILLS: Final = frozenset({MovementKind.TRADE, MovementKind.FEE, MovementKind.REALIZED_PNL})


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that nothing explains."""

    key: str
    asset: str
    amount: Decimal
    reason: str
    since: int
    """When it happened, microseconds UTC: its age counts from here."""


def suspense_of(
    books: Books, rule: WalletRule, terms: Mapping[str, Terms], *, since: int, until: int
) -> list[Suspended]:
    """Rows of [since, until) that fit nowhere; ``books`` reach back further, for what they fit to."""
    orders = {KEYS[type(one)](one) for one in books.orders}
    fills = {one.fill_id for one in books.fills}
    ledger = {row.fill_id for row in books.movements if row.fill_id}
    rows = [row for row in books.movements if since <= row.event_time < until]
    own = [one for one in books.fills if since <= one.event_time < until]
    found = [
        *(_movement(row, reason) for row in rows if (reason := _of_movement(row, fills))),
        *(_fill(one, reason) for one in own if (reason := _of_fill(one, orders, ledger, rule, terms))),
    ]
    return sorted(found, key=lambda one: one.key)


def _of_movement(row: Movement, fills: set[str]) -> str:
    if row.kind is MovementKind.OTHER:
        return f"a movement of a kind that is not known here: {row.word}"
    if row.kind in OF_FILLS and row.fill_id and row.fill_id not in fills:
        return "no fill of this id is held"
    return ""


def _of_fill(
    fill: Fill, orders: set[str], ledger: set[str], rule: WalletRule, terms: Mapping[str, Terms]
) -> str:
    if rule.ledger is Ledger.FILLS and fill.symbol not in terms:
        return "its instrument is not known: what it moved cannot be told"
    if rule.ledger is not Ledger.FILLS and not fill.combo and fill.fill_id not in ledger:
        return "the ledger has no row of it"
    if order_key(fill.symbol, fill.order_id) not in orders:
        return "its order is not known"
    return ""


def rest_of(lines: Iterable[Line], rule: WalletRule, since: int) -> list[Suspended]:
    """What is left over of opening + movements = closing."""
    return [
        Suspended(
            key=f"rest|{line.asset}",
            asset=line.asset,
            amount=line.rest,
            reason="opening + movements is not closing",
            since=since,
        )
        for line in off(lines, rule)
    ]


def _movement(row: Movement, reason: str) -> Suspended:
    return Suspended(
        key=f"movement|{KEYS[Movement](row)}",
        asset=row.asset,
        amount=row.change,
        reason=reason,
        since=row.event_time,
    )


def _fill(fill: Fill, reason: str) -> Suspended:
    return Suspended(
        key=f"fill|{KEYS[Fill](fill)}",
        asset=fill.symbol,
        amount=fill.quantity,
        reason=reason,
        since=fill.event_time,
    )

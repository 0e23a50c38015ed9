"""Faults of accounts: what private streams and REST keep back, what becomes of keys, what hits the money."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from streamers.simulator.accounts.book_shapes import Posting
from streamers.simulator.faults import ACCOUNT_NAMES, Fault
from streamers.simulator.interference import Heard

if TYPE_CHECKING:
    from streamers.simulator.accounts.desk import Account, Desk
    from streamers.simulator.exchange import SimulatedExchange

OWED: Final = ("private_missed", "private_duplicate", "private_reorder", "rest_page_lost")
"""They are used up one by one: ``desk.owes``."""
LASTING: Final = ("auth_refused",)
"""They are in force for their seconds: ``desk.is_lasting``."""


def objection(fault: Fault, desk: Desk | None) -> str:
    """Why the accounts here cannot have a fault, as a sentence; empty where they can."""
    if fault.fault not in ACCOUNT_NAMES:
        return ""
    if desk is None:
        return f"{fault.fault} needs an account: start the simulator with --accounts FILE."
    if fault.account and fault.account not in desk.accounts:
        return f"There is no account {fault.account} here, only {', '.join(desk.accounts)}."
    try:
        finite = Decimal(fault.amount).is_finite()
    except InvalidOperation:
        finite = False
    return "" if finite else f"{fault.amount!r} is no amount."


def aimed(desk: Desk, fault: Fault) -> list[Account]:
    """The accounts that a fault means."""
    return [one for one in desk.accounts.values() if fault.account in ("", one.name)]


def strike(exchange: SimulatedExchange, fault: Fault, now: float) -> Iterator[Heard]:
    """Do what a fault says to the accounts that it means."""
    desk = exchange.desk
    if desk is None:
        return
    if fault.fault in OWED:
        desk.owed.append((fault, fault.count))
        return
    if fault.fault in LASTING:
        desk.lasting.append((fault, now + fault.seconds))
    for account in aimed(desk, fault):
        if fault.fault == "rest_behind":
            _fall_behind(exchange, desk, account, now + fault.seconds)
        elif fault.fault == "cancel_on_disconnect":
            _cancel_all(desk, account)
        elif fault.fault == "liquidation":
            _liquidate(desk, account, fault.symbol)
        elif fault.fault == "transfer":
            _transfer(desk, account, fault)
        elif fault.fault == "key_revoked":
            account.revoked = True
            desk.effects[fault.fault] += 1
        yield from desk.half.strike(account, fault, now)


def _fall_behind(exchange: SimulatedExchange, desk: Desk, account: Account, until: float) -> None:
    desk.remember_past(account)
    desk.effects["rest_behind"] += 1

    def catch_up() -> Iterator[Heard]:
        desk.forget_past(account)
        return iter(())

    exchange.later(until, catch_up)


def _cancel_all(desk: Desk, account: Account) -> None:
    for order in account.book.waiting():
        account.book.cancel(order.order_id, desk.floor.shown, "cancel_on_disconnect")
        desk.effects["cancel_on_disconnect"] += 1


def _liquidate(desk: Desk, account: Account, symbol: str) -> None:
    held = {one.symbol for one in account.book.positions.values() if one.quantity}
    for one in sorted(held):
        if symbol in ("", one):
            account.trader.liquidate(one, "autoliquidation")
            desk.effects["liquidation"] += 1


def _transfer(desk: Desk, account: Account, fault: Fault) -> None:
    asset = fault.asset or next(iter(account.book.opening), "")
    change = Decimal(fault.amount)
    if fault.kind == "withdrawal":
        change = -abs(change)
    if asset:
        posting = Posting(kind=fault.kind, asset=asset, change=change)
        account.book.post(fault.kind, desk.floor.shown, [posting])
        desk.effects["transfer"] += 1

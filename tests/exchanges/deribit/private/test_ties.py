"""Balances and positions that share a moment: the one that came last counts, in any order of storing."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from tests.exchanges.deribit.private.payloads import ORDER, POSITION
from tests.exchanges.deribit.private.talking import Conversation, only
from trade_platform.domain.account_books import books_of
from trade_platform.domain.accounts import AccountRecord, Balance, Position
from trade_platform.exchanges.deribit.private.ties import Ties

CHANGES = "user.changes.any.any.raw"


def position(at: int, quantity: int, symbol: str = "X") -> Position:
    return Position(symbol=symbol, quantity=Decimal(quantity), event_time=at, receive_time=at)


def balance(at: int, total: int) -> Balance:
    return Balance(asset="BTC", total=Decimal(total), event_time=at, receive_time=at)


@pytest.mark.parametrize("make", [position, balance])
@pytest.mark.parametrize("times", [(5000, 5000, 5000), (5000, 6000, 6000), (4999, 5000, 5000)])
def test_the_last_of_a_moment_counts(make: object, times: tuple[int, ...]) -> None:
    ties = Ties()
    told: list[AccountRecord] = []
    for number, at in enumerate(times):
        told += ties.broken([make(at, 9 - number)])  # type: ignore[operator]
    for order in itertools.permutations(told):
        books = books_of(order)
        (kept,) = [*books.balances, *books.positions]
        assert (kept.total if isinstance(kept, Balance) else kept.quantity) == 9 - 2


def test_others_are_left_alone() -> None:
    ties = Ties()
    told = [position(5000, 1, "A"), position(5000, 2, "B"), balance(5000, 3)]
    assert ties.broken(told) == told


def test_an_old_one_that_comes_out_of_turn_stays_old() -> None:
    ties = Ties()
    ties.broken([position(7000, 2), position(7000, 3)])
    assert ties.broken([position(5000, 1)]) == [position(5000, 1)]
    (after,) = ties.broken([position(7000, 4)])
    assert isinstance(after, Position)
    assert after.event_time == 7002


def test_a_session_keeps_the_turn_of_what_one_chunk_brought(live: Conversation) -> None:
    told: list[AccountRecord] = []
    for size in (3, 2, 1):
        told += only(
            live.tell(CHANGES, {"orders": [ORDER], "positions": [{**POSITION, "size": size}]}), Position
        )
        live.market -= 1000  # the same chunk of the socket
        told += only(live.tell("user.portfolio.any", {"currency": "BTC", "balance": size}), Balance)
        live.market -= 1000
    books = books_of(reversed(told))
    assert [one.quantity for one in books.positions] == [1]
    assert [one.total for one in books.balances] == [1]

"""What fits nowhere is kept by itself."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.domain.account_week import END, EXCHANGES, START, terms_of, week_of
from trade_platform.domain.account_books import Books
from trade_platform.domain.accounts import MovementKind
from trade_platform.domain.suspense import Suspended, rest_of, suspense_of
from trade_platform.domain.wallet import Line, rule_of


def suspended(exchange: str, books: Books, since: int = START, until: int = END) -> list[Suspended]:
    return suspense_of(books, rule_of(exchange), terms_of(exchange), since=since, until=until)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_true_week_leaves_nothing_over(exchange: str) -> None:
    assert suspended(exchange, week_of(exchange, 1).truth) == []


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_fill_whose_order_nobody_knows_waits(exchange: str) -> None:
    truth = week_of(exchange, 1).truth
    found = suspended(exchange, msgspec.structs.replace(truth, orders=[]))
    assert {one.reason for one in found} == {"its order is not known"}
    assert len(found) == len(truth.fills)


@pytest.mark.parametrize("exchange", ["deribit", "binance_usdm"])
def test_a_row_without_its_fill_and_a_fill_without_its_row_wait(exchange: str) -> None:
    truth = week_of(exchange, 1).truth
    lost, *fills = truth.fills
    found = suspended(exchange, msgspec.structs.replace(truth, fills=fills))
    assert {one.reason for one in found} == {"no fill of this id is held"}
    assert {one.since for one in found} == {lost.event_time}
    rows = [row for row in truth.movements if row.fill_id != lost.fill_id]
    (alone,) = suspended(exchange, msgspec.structs.replace(truth, movements=rows))
    assert (alone.reason, alone.amount) == ("the ledger has no row of it", lost.quantity)


def test_a_movement_of_an_unknown_kind_waits_with_its_word() -> None:
    truth = week_of("binance_usdm", 1).truth
    row = msgspec.structs.replace(truth.movements[0], kind=MovementKind.OTHER, word="WELCOME_BONUS")
    (found,) = suspended(
        "binance_usdm", msgspec.structs.replace(truth, movements=[row, *truth.movements[1:]])
    )
    assert "WELCOME_BONUS" in found.reason


def test_what_is_outside_of_the_range_is_not_asked_about() -> None:
    truth = msgspec.structs.replace(week_of("deribit", 1).truth, orders=[])
    assert suspended("deribit", truth, END, END + 1) == []


def test_what_no_movement_explains_waits_as_the_rest_of_an_asset() -> None:
    line = Line(asset="BTC", opening=Decimal(1), closing=Decimal(3), changes={}, rows=0)
    (found,) = rest_of([line], rule_of("binance_spot"), since=5)
    assert (found.key, found.amount, found.since) == ("rest|BTC", Decimal(2), 5)

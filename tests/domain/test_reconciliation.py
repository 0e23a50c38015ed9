"""Our rows against theirs: properties, and what the words mean."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.account_books import WAITING, Books, books_of, key_of
from trade_platform.domain.accounts import (
    Balance,
    Fill,
    Movement,
    MovementKind,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.domain.difference import DifferenceKind, Subject
from trade_platform.domain.healing import healed, healing_of
from trade_platform.domain.model import MICROSECONDS, Side
from trade_platform.domain.reconciliation import (
    GUARD,
    HISTORIES,
    MADE_BEFORE,
    Answer,
    Comparison,
    Held,
    State,
    Told,
    compare,
)
from trade_platform.domain.valuation import Severity, Terms, Valuation

NOW = 1_790_000_000_000_000
SINCE = NOW - 3600 * MICROSECONDS
SUBJECTS = (Subject.ORDERS, Subject.FILLS, Subject.POSITIONS, Subject.BALANCES, Subject.MOVEMENTS)
ENDED = (OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED)

amounts = st.integers(-3, 3).map(Decimal)
sizes = st.integers(1, 3).map(Decimal)
times = st.sampled_from([SINCE, SINCE + 5 * MICROSECONDS, NOW - 60 * MICROSECONDS])
words = st.sampled_from(["", "one", "two"])
stamps = {"event_time": times, "receive_time": times}

orders = st.builds(
    OrderEvent,
    symbol=st.sampled_from(["BTC", "ETH"]),
    order_id=st.sampled_from(["1", "2", "3"]),
    state=st.sampled_from([*ENDED, *sorted(WAITING)]),
    status=words,
    event=words,
    side=st.sampled_from(Side),
    order_type=words,
    quantity=sizes,
    filled=amounts,
    price=st.none() | sizes,
    label=words,
    **stamps,
)
fills = st.builds(
    Fill,
    symbol=st.sampled_from(["BTC", "ETH"]),
    fill_id=st.sampled_from(["7", "8"]),
    order_id=st.sampled_from(["1", "2"]),
    side=st.sampled_from(Side),
    price=sizes,
    quantity=sizes,
    fee=amounts,
    label=words,
    **stamps,
)
balances = st.builds(Balance, asset=st.sampled_from(["BTC", "USDT"]), total=amounts, **stamps)
positions = st.builds(Position, symbol=st.sampled_from(["BTC", "ETH"]), quantity=amounts, **stamps)
movements = st.builds(
    Movement,
    movement_id=st.sampled_from(["a", "b", "c"]),
    kind=st.sampled_from(MovementKind),
    word=words,
    asset=st.sampled_from(["BTC", "USDT"]),
    change=amounts,
    **stamps,
)
records = st.one_of(orders, fills, balances, positions, movements)
books = st.lists(records, max_size=12).map(books_of)


def told(books: Books, *subjects: Subject, **answer: Any) -> Told:
    """Everything was asked and answered, or these subjects alone."""
    asked = Answer(at=NOW, since=SINCE, until=NOW)
    return Told(
        books=books,
        open_orders=[one for one in books.orders if one.state in WAITING],
        answers={
            subject: msgspec.structs.replace(asked, **answer)
            for subject in subjects or (Subject.OPEN_ORDERS, *SUBJECTS)
        },
    )


def differences(ours: Books, theirs: Books, *subjects: Subject) -> Comparison:
    return compare(Held(books=ours, at=NOW), told(theirs, *subjects))


def ended(ours: Books, theirs: Books) -> Books:
    """Their books, where every order that we think waits has ended in some way, or waits."""
    known = {key_of(one) for one in theirs.orders}
    gone = [one for one in ours.orders if one.state in WAITING and key_of(one) not in known]
    cancelled = [msgspec.structs.replace(one, state=OrderState.CANCELLED) for one in gone]
    return msgspec.structs.replace(theirs, orders=[*theirs.orders, *cancelled])


@given(books)
def test_what_is_the_same_does_not_differ(one: Books) -> None:
    found = differences(one, one)
    assert list(found.differences) == []
    assert set(found.states.values()) == {State.OK}


@given(books, books)
def test_healing_makes_ours_theirs(ours: Books, theirs: Books) -> None:
    theirs = ended(ours, theirs)
    found = differences(ours, theirs)
    healing = healing_of(found.differences, ours, told(theirs), NOW)
    after = healed(ours, healing)
    assert list(differences(after, theirs).differences) == []
    assert list(differences(theirs, after).differences) == []


@given(books, books)
def test_the_other_side_sees_the_same_the_other_way_round(ours: Books, theirs: Books) -> None:
    """Open orders aside: what waits no longer is looked up, not taken for extra."""
    ours, theirs = (_without_waiting(one) for one in (ours, theirs))
    forth = {one.identity: one for one in differences(ours, theirs, *SUBJECTS).differences}
    back = {one.identity: one for one in differences(theirs, ours, *SUBJECTS).differences}
    assert forth.keys() == back.keys()
    for identity, one in forth.items():
        other = back[identity]
        assert (one.ours, one.theirs) == (other.theirs, other.ours)
        assert MIRRORED[one.kind] >= {other.kind}


MIRRORED: Mapping[DifferenceKind, set[DifferenceKind]] = {
    DifferenceKind.MISSING: {DifferenceKind.EXTRA},
    DifferenceKind.EXTRA: {DifferenceKind.MISSING},
    DifferenceKind.MISMATCHED: {DifferenceKind.MISMATCHED, DifferenceKind.STALE},
    DifferenceKind.STALE: {DifferenceKind.MISMATCHED},
}


def _without_waiting(one: Books) -> Books:
    return msgspec.structs.replace(one, orders=[row for row in one.orders if row.state not in WAITING])


@given(books, books, st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(ours: Books, theirs: Books, chance: Random) -> None:
    assert differences(_shuffled(ours, chance), _shuffled(theirs, chance)) == differences(ours, theirs)


@given(books, books)
def test_a_row_that_they_tell_twice_says_nothing(ours: Books, theirs: Books) -> None:
    twice = msgspec.structs.replace(theirs, fills=[*theirs.fills, *theirs.fills])
    assert differences(ours, twice) == differences(ours, theirs)


def _shuffled(one: Books, chance: Random) -> Books:
    return Books(
        **{name: chance.sample(list(rows), len(rows)) for name, rows in msgspec.structs.asdict(one).items()}
    )


# --- what the words mean ---


def order(state: OrderState = OrderState.OPEN, at: int = SINCE, **more: Any) -> OrderEvent:
    fields = {
        "symbol": "BTCUSDT",
        "order_id": "9",
        "state": state,
        "status": "",
        "event": "",
        "side": Side.BUY,
        "order_type": "limit",
        "quantity": Decimal(2),
        "filled": Decimal(0),
        "price": Decimal(100),
        "event_time": at,
        "receive_time": at,
    }
    return OrderEvent(**{**fields, **more})


def fill(at: int = SINCE, **more: Any) -> Fill:
    fields = {
        "symbol": "BTCUSDT",
        "fill_id": "1",
        "order_id": "9",
        "side": Side.BUY,
        "price": Decimal(100),
        "quantity": Decimal(2),
        "event_time": at,
        "receive_time": at,
    }
    return Fill(**{**fields, **more})


def balance(total: int, at: int = SINCE) -> Balance:
    return Balance(asset="BTC", total=Decimal(total), event_time=at, receive_time=at)


def kinds(found: Comparison) -> list[tuple[str, str, str]]:
    return [(one.subject.value, one.kind.value, one.field) for one in found.differences]


def test_an_order_that_waits_with_us_alone_is_stale() -> None:
    found = differences(Books(orders=[order()]), Books())
    assert kinds(found) == [("open_orders", "stale", "state")]


def test_an_order_that_waits_with_them_alone_is_missing() -> None:
    found = differences(Books(), Books(orders=[order()]), Subject.OPEN_ORDERS)
    assert kinds(found) == [("open_orders", "missing", "row")]


def test_an_order_that_ended_with_them_is_stale_in_state_and_filled() -> None:
    over = order(OrderState.FILLED, SINCE + 1, filled=Decimal(2))
    found = differences(Books(orders=[order()]), Books(orders=[over]), Subject.ORDERS)
    assert kinds(found) == [("orders", "stale", "filled"), ("orders", "stale", "state")]


def test_a_stop_that_became_another_order_and_a_refusal_are_not_expected_in_their_history() -> None:
    ours = Books(orders=[order(OrderState.TRIGGERED), order(OrderState.REJECTED, order_id="10")])
    assert kinds(differences(ours, Books())) == []


def test_an_unfilled_order_is_forgotten_by_its_exchange_after_some_days() -> None:
    old = NOW - 4 * 24 * 3600 * MICROSECONDS
    ours = Held(books=Books(orders=[order(OrderState.CANCELLED, old)]), at=NOW)
    asked = told(Books(), Subject.ORDERS, since=old - 1)
    assert kinds(compare(ours, asked, exchange="binance_usdm")) == []
    assert kinds(compare(ours, asked, exchange="binance_spot")) == [("orders", "extra", "row")]


def test_an_order_of_long_before_the_range_may_be_told_of_no_more_by_its_exchange() -> None:
    """Binance looks for orders by when they were made."""
    over = order(OrderState.FILLED, NOW - GUARD - 1, filled=Decimal(2), created=SINCE - MADE_BEFORE - 1)
    assert kinds(differences(Books(orders=[over]), Books(), Subject.ORDERS)) == []
    later = msgspec.structs.replace(over, created=SINCE - MADE_BEFORE)
    found = differences(Books(orders=[later]), Books(), Subject.ORDERS)
    assert kinds(found) == [("orders", "extra", "row")]


@pytest.mark.parametrize("ahead", [-GUARD + 1, 0, GUARD])
def test_what_changes_around_the_question_waits_for_the_next_one(ahead: int) -> None:
    found = compare(
        Held(books=Books(fills=[fill(NOW + ahead)]), at=NOW), told(Books(), until=NOW + 2 * GUARD)
    )
    assert (kinds(found), found.skipped) == ([], 1)


def test_what_lies_far_ahead_is_wrong_and_not_just_happening() -> None:
    ahead = order(at=NOW + 3600 * MICROSECONDS)
    found = differences(Books(orders=[ahead]), Books(orders=[order()]), Subject.OPEN_ORDERS)
    assert kinds(found) == [("open_orders", "mismatched", "event_time")]


def test_a_balance_that_has_stood_still_is_compared_however_new_its_row_is() -> None:
    ours, theirs = Books(balances=[balance(1, NOW)]), Books(balances=[balance(2, NOW)])
    asked = told(theirs, Subject.BALANCES)
    assert kinds(compare(Held(books=ours, at=NOW), asked)) == []
    still = Held(books=ours, at=NOW, changed={(Subject.BALANCES, "BTC"): SINCE})
    assert kinds(compare(still, asked)) == [("balances", "mismatched", "total")]


def test_what_lies_outside_of_the_range_that_was_asked_is_not_compared() -> None:
    ours = Books(fills=[fill(SINCE - 1)])
    assert kinds(differences(ours, Books())) == []


def test_a_row_whose_time_only_we_put_outside_of_the_range_is() -> None:
    found = differences(Books(fills=[fill(SINCE - 1)]), Books(fills=[fill(SINCE)]))
    assert kinds(found) == [("fills", "mismatched", "event_time")]


@pytest.mark.parametrize("subject", [Subject.OPEN_ORDERS, *SUBJECTS])
def test_no_answer_is_unknown_and_no_list_is_not_served(subject: Subject) -> None:
    ours = Held(books=Books(orders=[order()], fills=[fill()], balances=[balance(1)]), at=NOW)
    found = compare(ours, told(Books(), subject, problem="the exchange was away"))
    assert (kinds(found), found.states) == ([], {subject: State.UNKNOWN})
    found = compare(ours, told(Books(), subject, served=False))
    assert (kinds(found), found.states) == ([], {subject: State.NOT_SERVED})


def test_nothing_held_and_no_row_are_the_same() -> None:
    assert kinds(differences(Books(balances=[balance(0)]), Books())) == []
    assert kinds(differences(Books(), Books(balances=[balance(0)]))) == []
    assert kinds(differences(Books(balances=[balance(3)]), Books())) == [("balances", "extra", "total")]


def test_a_row_that_we_hold_twice_is_a_duplicate() -> None:
    found = differences(Books(fills=[fill(), fill()]), Books(fills=[fill()]))
    assert [(one.kind, one.ours) for one in found.differences] == [(DifferenceKind.DUPLICATE, "2")]


def test_text_that_one_side_does_not_tell_is_no_difference() -> None:
    assert kinds(differences(Books(fills=[fill(label="a")]), Books(fills=[fill()]))) == []
    found = differences(Books(fills=[fill(label="a")]), Books(fills=[fill(label="b")]))
    assert kinds(found) == [("fills", "mismatched", "label")]


def test_a_difference_is_worth_what_it_is_about() -> None:
    valuation = Valuation(prices={"BTC": Decimal(50_000)}, terms={"BTCUSDT": Terms(base="BTC", quote="USDT")})
    ours = Books(balances=[balance(1)], fills=[fill(label="a")])
    theirs = Books(balances=[balance(3)], fills=[fill(label="b"), fill(fill_id="2")])
    found = compare(Held(books=ours, at=NOW), told(theirs), valuation=valuation).differences
    assert {(one.kind, one.field): (one.money, one.severity) for one in found} == {
        (DifferenceKind.MISMATCHED, "total"): (Decimal(100_000), Severity.CRITICAL),
        (DifferenceKind.MISMATCHED, "label"): (None, Severity.MINOR),
        (DifferenceKind.MISSING, "row"): (Decimal(200), Severity.CRITICAL),
    }


def test_histories_are_those_that_have_a_range() -> None:
    assert set(HISTORIES) == {Subject.ORDERS, Subject.FILLS, Subject.MOVEMENTS}

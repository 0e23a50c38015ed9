"""What is always true of a book, whatever is done to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamers.simulator.accounts.book import Book, Unacceptable, plain_kind
from streamers.simulator.accounts.book_shapes import Executed, Ordered, Posting
from streamers.simulator.accounts.deribit_wallet import DeribitHouse, fund, settle
from streamers.simulator.listing import DERIBIT, listings
from tests.streamers.simulator.accounts.desks import OPENING, prove
from tests.streamers.simulator.conftest import START

LISTINGS = {one.symbol: one for one in listings(DERIBIT, START)}
TRADED = ("BTC-PERPETUAL", "ETH-PERPETUAL", "BTC_USDC-PERPETUAL")


def new_book() -> Book:
    house = DeribitHouse(lambda symbol, number: f"{symbol}/{number}")
    return Book("main", OPENING, house, lambda symbol: LISTINGS[symbol])


def amount(symbol: str, steps: int) -> Decimal:
    listing = LISTINGS[symbol]
    return Decimal(steps * listing.step).scaleb(-listing.quantity_decimals)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ("trade", "trade", "place", "stop", "fill", "cancel", "amend", "fund", "settle", "move")
        ),
        st.sampled_from(TRADED),
        st.booleans(),
        st.integers(1, 500),
        st.integers(1_000, 200_000),
    ),
    max_size=60,
)


def perform(book: Book, action: tuple[str, str, bool, int, int], time: int) -> None:
    what, symbol, flag, steps, price_ = action
    price, waiting = Decimal(price_) / 2, book.waiting(symbol)
    order_id = waiting[steps % len(waiting)].order_id if waiting else ""
    if what in ("place", "stop"):
        trigger = {"trigger_price": price, "kind": "stop_limit"} if what == "stop" else {}
        side: Any = "buy" if flag else "sell"
        book.place(symbol, side, amount(symbol, steps), time, price=price, **trigger)
    elif what == "trade":
        order = book.place(symbol, "buy" if flag else "sell", amount(symbol, steps), time, kind="market")
        book.execute(order.order_id, price, order.quantity, time, number=time, maker=False)
    elif what == "fill" and waiting:
        order = book.orders[order_id]
        if order.state == "untriggered":
            order = book.trigger(order_id, time)
        quantity = min(order.left, amount(symbol, steps))
        book.execute(order.order_id, price, quantity, time, number=time, maker=flag)
    elif what == "cancel" and waiting:
        book.cancel(order_id, time)
    elif what == "amend" and waiting:
        book.amend(order_id, time, price=price + 1)
    elif what == "fund":
        fund(book, time, lambda _: price, lambda _: Decimal("0.0001"))
    elif what == "settle":
        settle(book, time, lambda _: price)
    elif what == "move":
        book.post("transfer", time, [Posting(kind="transfer", asset="BTC", change=price)])


@settings(max_examples=100, deadline=None)
@given(ACTIONS)
def test_money_and_positions_add_up_and_events_are_everything(actions: list[Any]) -> None:
    """Opening and movements are the balance, fills are the position, and another book that hears is equal."""
    book, hearer = new_book(), new_book()
    for time, action in enumerate(actions, 1):
        perform(book, action, time)
        for event in book.take():
            hearer.apply(event)
        prove(book)
    assert (hearer.orders, hearer.fills, hearer.movements) == (book.orders, book.fills, book.movements)
    assert (hearer.positions, hearer.balances, hearer.waits) == (book.positions, book.balances, book.waits)


@settings(max_examples=100, deadline=None)
@given(ACTIONS, st.integers(1_000, 200_000))
def test_what_a_session_brought_is_what_its_settlement_pays(actions: list[Any], last: int) -> None:
    """Fees aside, what was realised, held and funded between two settlements is paid, to the last digit."""
    book = new_book()
    for time, action in enumerate(actions, 1):
        if action[0] != "settle":
            perform(book, action, time)
    fills = sum((one.realized or Decimal(0) for one in book.fills), Decimal(0))
    funding = sum((one.session_funding for one in book.positions.values()), Decimal(0))
    settle(book, 1_000, lambda _: Decimal(last))
    rows = [one for one in book.movements if one.kind == "settlement"]
    unrealized = sum((one.unrealized or Decimal(0) for one in rows), Decimal(0))
    assert sum((one.change for one in rows), Decimal(0)) == fills + funding + unrealized
    assert all(not one.session_realized for one in book.positions.values())
    count = len(book.movements)
    settle(book, 1_001, lambda _: Decimal(last))
    assert not any(one.change for one in book.movements[count:])


def test_orders_cannot_be_filled_or_changed_beyond_themselves() -> None:
    book = new_book()
    order = book.place("BTC-PERPETUAL", "buy", Decimal(100), 1, price=Decimal(90_000))
    with pytest.raises(Unacceptable):
        book.execute(order.order_id, Decimal(90_000), Decimal(110), 2, number=1, maker=True)
    book.execute(order.order_id, Decimal(90_000), Decimal(60), 2, number=1, maker=True)
    with pytest.raises(Unacceptable):
        book.amend(order.order_id, 3, quantity=Decimal(60))
    with pytest.raises(Unacceptable):
        book.trigger(order.order_id, 3)
    book.cancel(order.order_id, 4, "user_request")
    assert (book.orders[order.order_id].state, book.orders[order.order_id].average) == ("cancelled", 90_000)
    for act in (book.cancel, book.expire, book.trigger):
        with pytest.raises(Unacceptable):
            act(order.order_id, 5)


def test_events_hold_things_as_they_stood() -> None:
    book = new_book()
    order = book.place("BTC-PERPETUAL", "buy", Decimal(100), 1, price=Decimal(90_000))
    for number in (1, 2):
        book.execute(order.order_id, Decimal(90_000), Decimal(50), 2, number=number, maker=True)
    placed, first, second = book.take()
    assert isinstance(placed, Ordered)
    assert isinstance(first, Executed)
    assert isinstance(second, Executed)
    assert (first.order.filled, first.order.state, first.positions[0].quantity) == (50, "open", 50)
    assert (second.order.filled, second.order.state, second.positions[0].quantity) == (100, "filled", 100)
    assert book.take() == []


def test_a_maker_earns_and_a_taker_pays() -> None:
    book = new_book()
    for number, maker in ((1, True), (2, False)):
        order = book.place("BTC-PERPETUAL", "buy", Decimal(1000), number, price=Decimal(100_000))
        book.execute(order.order_id, Decimal(100_000), Decimal(1000), number, number=number, maker=maker)
    assert [one.fee for one in book.fills] == [Decimal("-0.000001"), Decimal("0.0000035")]
    assert book.balances["BTC"] == Decimal("9.9999975")


def test_kinds_in_the_book() -> None:
    assert (plain_kind("stop_limit"), plain_kind("take_market")) == ("limit", "market")

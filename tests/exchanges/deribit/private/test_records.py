"""What becomes of each private payload; every word of the exchange's."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.deribit.private.payloads import LOG, ORDER, POSITION, TRADE
from tests.exchanges.deribit.private.talking import Conversation
from trade_platform.domain.accounts import (
    AccountNote,
    Fill,
    Movement,
    MovementKind,
    NoteKind,
    OrderEvent,
    OrderState,
    Origin,
    Position,
)
from trade_platform.domain.model import Side
from trade_platform.exchanges.deribit.private import notifications, records, wire
from trade_platform.exchanges.session import ProtocolViolation

NOW = 1_766_000_000_000_000
COMBO = "BTC-CS-19MAY26-70000_75000"


def order(**fields: Any) -> OrderEvent:
    wired = msgspec.json.decode(json.dumps({**ORDER, **fields}), type=wire.Order)
    return records.order_event(wired, NOW, Origin.STREAM)


def fill(**fields: Any) -> Fill:
    wired = msgspec.json.decode(json.dumps({**TRADE, **fields}), type=wire.Trade)
    return records.fill(wired, NOW, Origin.STREAM)


def row(at: int = 1, **fields: Any) -> Movement:
    wired = msgspec.json.decode(json.dumps({**LOG["logs"][at], **fields}), type=wire.LogRow)
    return records.movement(wired, NOW)


# --- orders ---------------------------------------------------------------------------------------------


def test_an_order() -> None:
    assert order() == OrderEvent(
        symbol="BTC-PERPETUAL",
        order_id="3398016",
        state=OrderState.FILLED,
        status="filled",
        event="",
        side=Side.BUY,
        order_type="limit",
        quantity=Decimal(10),
        filled=Decimal(10),
        event_time=1613657734620_000,
        receive_time=NOW,
        price=Decimal(17391),
        average_price=Decimal(17391),
        time_in_force="good_til_cancelled",
        label="grid",
        created=1613657734000_000,
        update=order().update,
    )


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("open", OrderState.OPEN),
        ("untriggered", OrderState.UNTRIGGERED),
        ("triggered", OrderState.TRIGGERED),
        ("filled", OrderState.FILLED),
        ("cancelled", OrderState.CANCELLED),
        ("rejected", OrderState.REJECTED),
        ("archive", OrderState.UNKNOWN),
        ("partially_filled", OrderState.UNKNOWN),
    ],
)
def test_every_state_of_an_order_keeps_the_exchange_s_word(word: str, state: OrderState) -> None:
    assert (order(order_state=word).state, order(order_state=word).status) == (state, word)


def test_what_is_filled_in_part_is_open() -> None:
    told = order(order_state="open", filled_amount=4.0)
    assert (told.state, told.filled, told.quantity) == (OrderState.OPEN, Decimal(4), Decimal(10))


def test_a_rejection_s_reason_may_stand_in_its_state() -> None:
    told = order(order_state="rejected:reduce_direction")
    assert (told.state, told.reason) == (OrderState.REJECTED, "reduce_direction")


@pytest.mark.parametrize(
    "reason",
    [
        "user_request",
        "autoliquidation",
        "cancel_on_disconnect",
        "risk_mitigation",
        "pme_risk_reduction",
        "pme_account_locked",
        "position_locked",
        "mmp_trigger",
        "mmp_config_curtailment",
        "edit_post_only_reject",
        "oco_other_closed",
        "oto_primary_closed",
        "settlement",
        "a_new_one",
    ],
)
def test_why_it_was_cancelled_is_kept_verbatim(reason: str) -> None:
    assert order(order_state="cancelled", cancel_reason=reason).reason == reason


@pytest.mark.parametrize(
    ("kind", "price", "expected"),
    [
        ("limit", 2.5, Decimal("2.5")),
        ("stop_limit", 2.5, Decimal("2.5")),
        ("take_limit", 2.5, Decimal("2.5")),
        ("market", 2.5, None),
        ("stop_market", "market_price", None),
        ("take_market", "market_price", None),
        ("trailing_stop", "market_price", None),
        ("trailing_stop", 2.5, Decimal("2.5")),
        ("limit", "2.5", Decimal("2.5")),
        ("stop_limit", "a_new_word", None),
        ("limit", None, None),
    ],
)
def test_the_price_of_every_kind_of_order(kind: str, price: Any, expected: Decimal | None) -> None:
    told = order(order_type=kind, price=price)
    assert (told.order_type, told.price) == (kind, expected)


@pytest.mark.parametrize(
    "word", ["good_til_cancelled", "good_til_day", "fill_or_kill", "immediate_or_cancel", "a_new_one"]
)
def test_time_in_force_is_kept_verbatim(word: str) -> None:
    assert order(time_in_force=word).time_in_force == word


def test_a_stop_and_the_order_that_it_makes() -> None:
    stop = order(
        order_id="SLIS-103",
        order_state="triggered",
        order_type="stop_limit",
        trigger_price=5285.0,
        filled_amount=None,
        average_price=None,
    )
    child = order(order_id=671473, trigger_order_id="SLIS-103", order_state="open", filled_amount=0)
    assert (stop.state, stop.trigger_price) == (OrderState.TRIGGERED, Decimal(5285))
    assert (stop.filled, stop.average_price, stop.parent_id) == (Decimal(0), None, "")
    assert (child.order_id, child.parent_id) == ("671473", "SLIS-103")


def test_an_entry_of_the_history_of_triggers_is_about_the_stop() -> None:
    entry = msgspec.json.decode(
        json.dumps(
            {
                "trigger_order_id": "SLIS-103",
                "order_id": 671473,
                "order_state": "triggered",
                "instrument_name": "BTC-PERPETUAL",
                "direction": "buy",
                "amount": 10,
                "price": 5179.28,
                "trigger_price": 5285.0,
                "timestamp": 1555918941451,
                "label": None,
            }
        ),
        type=wire.Order,
    )
    told = records.triggered_event(entry, NOW)
    assert (told.order_id, told.parent_id, told.state) == ("SLIS-103", "", OrderState.TRIGGERED)
    assert (told.event_time, told.origin) == (1555918941451_000, Origin.HISTORY)


def test_absent_fields_and_flags_as_text() -> None:
    bare = {
        "order_id": "USDC-SLMB-19641",
        "order_state": "untriggered",
        "instrument_name": "ETH_USDC-PERPETUAL",
        "direction": "sell",
        "amount": 0.01,
        "creation_timestamp": 5,
        "reduce_only": "true",
        "post_only": "false",
    }
    told = records.order_event(msgspec.json.decode(json.dumps(bare), type=wire.Order), NOW, Origin.SNAPSHOT)
    assert (told.reduce_only, told.post_only, told.liquidation) == (True, False, False)
    assert (told.filled, told.price, told.event_time, told.created) == (Decimal(0), None, 5000, 5000)


@pytest.mark.parametrize("left_out", ["order_id", "time"])
def test_an_order_without_an_id_or_a_time_is_none(left_out: str) -> None:
    times = {"last_update_timestamp": None, "creation_timestamp": None}
    with pytest.raises(ProtocolViolation):
        order(**(times if left_out == "time" else {"order_id": None}))


def test_a_later_moment_of_the_same_millisecond_has_a_higher_number() -> None:
    life = [
        order(order_state="untriggered", filled_amount=None),
        order(order_state="open", filled_amount=0),
        order(order_state="open", filled_amount=0.00000001),
        order(order_state="open", filled_amount=4),
        order(order_state="open", filled_amount=4, replaced=True),
        order(order_state="open", filled_amount=9, replaced=True),
        order(order_state="filled", filled_amount=10, replaced=True),
    ]
    assert all(one.update < following.update for one, following in pairwise(life))
    assert order(order_state="cancelled", filled_amount=0).update > life[-2].update
    assert 0 <= order(filled_amount=1e39, amount=1e39).update < 2**63


# --- fills ----------------------------------------------------------------------------------------------


def test_a_fill() -> None:
    assert fill() == Fill(
        symbol="BTC-PERPETUAL",
        fill_id="28349",
        order_id="3398016",
        side=Side.BUY,
        price=Decimal(17391),
        quantity=Decimal(10),
        event_time=1613657734620_000,
        receive_time=NOW,
        fee=Decimal("0.00000016"),
        fee_asset="BTC",
        maker=False,
        realized_pnl=Decimal("0.0000123"),
        sequence=1966042,
        label="grid",
    )


def test_numbers_are_exact() -> None:
    text = json.dumps(TRADE).replace("17391.0", "0.1234567890123456789012345678").encode()
    told = records.fill(msgspec.json.decode(text, type=wire.Trade), NOW, Origin.STREAM)
    assert str(told.price) == "0.1234567890123456789012345678"


def test_a_rebate_is_a_fee_below_zero() -> None:
    assert fill(fee=-2.5e-7, liquidity="M").fee == Decimal("-0.00000025")


@pytest.mark.parametrize(("word", "maker"), [("M", True), ("T", False), ("X", None), (None, None)])
def test_who_was_there_first(word: str | None, maker: bool | None) -> None:
    assert fill(liquidity=word).maker is maker


@pytest.mark.parametrize(
    ("liquidation", "liquidity", "ours"),
    [
        ("M", "M", True),
        ("M", "T", False),
        ("T", "T", True),
        ("MT", "M", True),
        ("MT", "T", True),
        (None, "T", False),
        ("T", None, False),
    ],
)
def test_whose_liquidation_it_was(liquidation: str | None, liquidity: str | None, ours: bool) -> None:
    assert fill(liquidation=liquidation, liquidity=liquidity).liquidation is ours


def test_an_order_of_a_liquidation() -> None:
    assert fill(order_type="liquidation").liquidation


def test_a_trade_with_ourselves_gives_two_fills(live: Conversation) -> None:
    other = {**TRADE, "order_id": "3398017", "direction": "sell", "liquidity": "M", "self_trade": True}
    told = live.tell("user.changes.any.any.raw", {"trades": [{**TRADE, "self_trade": True}, other]})
    fills = [one for one in told if isinstance(one, Fill)]
    assert len({(one.symbol, one.fill_id, one.order_id) for one in fills}) == 2
    assert len({one.fill_id for one in fills}) == 1
    assert {one.side for one in fills} == {Side.BUY, Side.SELL}


@pytest.mark.parametrize(
    ("fields", "combo"),
    [
        ({"instrument_name": COMBO, "legs": [{"trade_id": "1"}]}, True),
        ({"instrument_name": COMBO}, True),
        ({"instrument_name": "BTC-FS-25DEC26_PERP"}, True),
        ({"instrument_name": "X", "combo_id": "X"}, True),
        ({"instrument_name": "BTC-19MAY26-75000-C", "combo_id": COMBO, "combo_trade_id": "5"}, False),
        ({"instrument_name": "BTC-PERPETUAL", "legs": []}, False),
        ({"instrument_name": "BTC_USDC-PERPETUAL", "legs": None}, False),
        ({"instrument_name": "BTC-5JUN26"}, False),
        ({"instrument_name": "XRP_USDC-30JUN23-0d625-C"}, False),
        ({"instrument_name": "BTC_USDC"}, False),
    ],
)
def test_the_net_row_of_a_combo_and_its_legs(fields: dict[str, Any], combo: bool) -> None:
    assert fill(**fields).combo is combo


# --- positions and balances -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "size", "quantity"),
    [("buy", 5, 5), ("sell", -5, -5), ("sell", 5, -5), ("zero", 0, 0), ("a_new_one", -3, -3)],
)
def test_a_position_is_signed(direction: str, size: int, quantity: int) -> None:
    wired = msgspec.json.decode(
        json.dumps({**POSITION, "direction": direction, "size": size}), type=wire.Position
    )
    told = records.position(wired, 5, NOW, Origin.SNAPSHOT)
    assert told.quantity == quantity
    assert (told.average_price is None) == (size == 0)


@pytest.mark.parametrize(
    ("symbol", "asset"),
    [
        ("BTC-PERPETUAL", "BTC"),
        ("ETH_USDC-PERPETUAL", "USDC"),
        ("BTC-27DEC24-60000-C", "BTC"),
        ("XRP_USDC-30JUN23-0d625-C", "USDC"),
    ],
)
def test_in_what_a_position_is_settled(symbol: str, asset: str) -> None:
    assert records.settled_in(symbol) == asset


def test_the_position_of_an_event_has_its_time(live: Conversation) -> None:
    told = live.tell(
        "user.changes.any.any.raw",
        {"instrument_name": "BTC-PERPETUAL", "trades": [TRADE], "positions": [POSITION], "orders": [ORDER]},
    )
    order_told, fill_told, position = told
    assert isinstance(order_told, OrderEvent)
    assert isinstance(fill_told, Fill)
    assert position == Position(
        symbol="BTC-PERPETUAL",
        quantity=Decimal(185160),
        event_time=1613657734620_000,
        receive_time=live.market,
        average_price=Decimal(15000),
        mark_price=Decimal(17391),
        unrealized_pnl=Decimal("0.906961435"),
        realized_pnl=Decimal("0.012454598"),
        initial_margin=Decimal("0.319750953"),
        maintenance_margin=Decimal("0.234575865"),
        asset="BTC",
    )
    (alone,) = live.tell("user.changes.any.any.raw", {"positions": [POSITION], "orders": [], "trades": []})
    assert isinstance(alone, Position)
    assert alone.event_time == live.market


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("plural", [True, False])
@pytest.mark.parametrize("listed", [True, False])
def test_objects_or_arrays_singular_or_plural(
    live: Conversation, several: bool, plural: bool, listed: bool
) -> None:
    def wrapped(one: Any) -> Any:
        return [one] if listed else one

    end = "s" if plural else ""
    data = {
        f"order{end}": wrapped(ORDER),
        f"trade{end}": wrapped(TRADE),
        f"position{end}": wrapped(POSITION),
    }
    told = live.tell("user.changes.any.any.raw", [data] if several else data)
    assert [type(one) for one in told] == [OrderEvent, Fill, Position]


def test_channels_that_are_told_alone(live: Conversation) -> None:
    assert [type(one) for one in live.tell("user.orders.BTC-PERPETUAL.raw", ORDER)] == [OrderEvent]
    assert [type(one) for one in live.tell("user.orders.any.any.100ms", [ORDER, ORDER])] == [OrderEvent] * 2
    assert [type(one) for one in live.tell("user.trades.any.any.raw", [TRADE])] == [Fill]


# --- the ledger -----------------------------------------------------------------------------------------


def test_a_settlement_holds_funding_apart() -> None:
    assert row(0) == Movement(
        movement_id="61311",
        kind=MovementKind.SETTLEMENT,
        word="settlement",
        asset="BTC",
        change=Decimal("0.00215706"),
        event_time=1613659544153_000,
        receive_time=NOW,
        balance=Decimal("3003.72270418"),
        symbol="BTC-PERPETUAL",
        funding=Decimal("0.00000993"),
        sequence=6008,
    )


def test_a_trade_holds_its_fee_apart() -> None:
    told = row(commission=0.00021, change=-0.1078, interest_pl=0.5)
    assert (told.kind, told.fill_id, told.order_id) == (MovementKind.TRADE, "28349", "67546")
    assert told.fee == Decimal("0.00021"), "as on a fill: what was paid"
    assert told.fee is not None
    assert told.change + told.fee == Decimal("-0.10759")
    assert told.funding is None
    assert row(commission=-0.5).fee == Decimal("-0.5")
    assert row(commission=None).fee is None


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("trade", MovementKind.TRADE),
        ("deposit", MovementKind.DEPOSIT),
        ("withdrawal", MovementKind.WITHDRAWAL),
        ("settlement", MovementKind.SETTLEMENT),
        ("delivery", MovementKind.SETTLEMENT),
        ("options_settlement_summary", MovementKind.SETTLEMENT),
        ("transfer", MovementKind.TRANSFER),
        ("swap", MovementKind.TRANSFER),
        ("correction", MovementKind.OTHER),
        ("a_new_one", MovementKind.OTHER),
    ],
)
def test_every_kind_of_row_keeps_the_exchange_s_word(word: str, kind: MovementKind) -> None:
    assert (row(type=word).kind, row(type=word).word) == (kind, word)


def test_a_trade_through_zero_has_two_rows_of_one_trade() -> None:
    closing = row(id=61300, user_seq=6007, side="close sell", trade_id="28350")
    opening = row(id=61301, user_seq=6008, side="open sell", trade_id="28350")
    assert closing.fill_id == opening.fill_id
    assert {closing.movement_id, opening.movement_id} == {"61300", "61301"}


def test_an_id_beyond_2_to_the_53rd_is_kept() -> None:
    assert row(id=2**60 + 1, trade_id=2**60 + 3).movement_id == str(2**60 + 1)


@given(
    st.decimals(-1000, 1000, places=8, allow_nan=False),
    st.lists(
        st.tuples(
            st.sampled_from(["trade", "settlement", "deposit", "transfer", "delivery"]),
            st.decimals(-10, 10, places=8, allow_nan=False),
            st.decimals(-1, 1, places=8, allow_nan=False),
        ),
        max_size=20,
    ),
)
def test_the_opening_and_the_movements_make_the_closing(
    opening: Decimal, rows: list[tuple[str, Decimal, Decimal]]
) -> None:
    balance, told = opening, []
    for number, (word, cash, fee) in enumerate(rows, 1):
        commission = fee if word == "trade" else None
        change = cash - (commission or 0)
        balance += change
        fields = {"id": number, "type": word, "currency": "BTC", "timestamp": number, "user_seq": number}
        money = {"change": change, "balance": balance, "commission": commission}
        text = msgspec.json.Encoder(decimal_format="number").encode({**fields, **money})
        told.append(records.movement(msgspec.json.decode(text, type=wire.LogRow), NOW))
    assert opening + sum(one.change for one in told) == balance
    assert all(one.balance == before.balance + one.change for before, one in pairwise(told))
    assert [one.sequence for one in told] == list(range(1, len(rows) + 1))
    cash = sum((one.change + (one.fee or 0) for one in told), start=opening)
    assert cash == opening + sum(cash for _, cash, _ in rows)


# --- notes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"locked": True, "currency": "BTC"}, "locked: BTC"),
        ({"locked": "false", "currency": "ALL"}, "unlocked: ALL"),
    ],
)
def test_locks(live: Conversation, data: dict[str, Any], text: str) -> None:
    (note,) = live.tell("user.lock", data)
    assert note == AccountNote(NoteKind.LOCK, text, live.market, live.market)


def test_somebody_came_in(live: Conversation) -> None:
    access = {
        "id": 5,
        "ip": "11.222.33.44",
        "timestamp": 1613657734620,
        "country": "NL",
        "city": "Amsterdam",
        "log": "success",
        "data": {"a": 1},
    }
    (note,) = live.tell("user.access_log", access)
    text = "success from 11.222.33.44 (Amsterdam, NL)"
    assert note == AccountNote(NoteKind.ACCESS, text, 1613657734620_000, live.market)
    (bare,) = live.tell("user.access_log", {})
    assert bare == AccountNote(NoteKind.ACCESS, "access", live.market, live.market)


def test_quotes_are_frozen(live: Conversation) -> None:
    (note,) = live.tell("user.mmp_trigger.btc_usd", {"frozen_until": 0, "index_name": "btc_usd"})
    assert isinstance(note, AccountNote)
    assert note.text == "market maker protection of btc_usd: quotes are frozen until it is reset"


def test_every_channel_that_is_asked_for_has_a_reader() -> None:
    asked = (*notifications.DEMANDED, *notifications.WELCOME)
    assert {notifications.kind_of(name) for name in asked} <= notifications.READERS.keys()

"""The records of an account: what travels, what was added later, and which states end an order."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from trade_platform.domain.accounts import (
    ACCOUNT_KINDS,
    FINAL,
    AccountNote,
    AccountRecord,
    Balance,
    Blindness,
    Fill,
    Movement,
    MovementKind,
    NoteKind,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.domain.model import Side

RECORDS: tuple[AccountRecord, ...] = (
    OrderEvent(
        *("BTCUSDT", "9007199254740993", OrderState.OPEN, "PARTIALLY_FILLED", "TRADE", Side.BUY, "LIMIT"),
        *(Decimal("1.00000000"), Decimal("0.1"), 1, 2),
        price=Decimal("0.10264410"),
    ),
    Fill("BTCUSDT", "1", "2", Side.SELL, Decimal(1), Decimal(2), 3, 4, fee=Decimal("-0.00000001")),
    Balance("BTC", Decimal("302.61869214"), 1, 2),
    Position("BTC-PERPETUAL", Decimal(-10), 1, 2),
    Movement("trade:1", MovementKind.TRADE, "trade", "BTC", Decimal("-0.10759"), 1, 2, sequence=6006),
    AccountNote(NoteKind.LOCK, "BTC is locked", 1, 2),
    Blindness(1, "disconnect", 2),
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_the_bus_as_it_went(record: AccountRecord) -> None:
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


@pytest.mark.parametrize("kind", ACCOUNT_KINDS.values(), ids=ACCOUNT_KINDS)
def test_every_kind_is_tried_and_new_fields_can_only_come_at_its_end(kind: type[AccountRecord]) -> None:
    """What an older process wrote, without them, is still read."""
    record = next(one for one in RECORDS if type(one) is kind)
    required = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    short = msgspec.to_builtins(record)[:required]
    assert isinstance(msgspec.convert(short, kind, strict=False), kind)


def test_an_order_that_waits_or_that_nobody_understands_is_not_over() -> None:
    assert {OrderState.UNTRIGGERED, OrderState.OPEN, OrderState.UNKNOWN} == set(OrderState) - FINAL

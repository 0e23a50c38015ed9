"""CSV into frames: no digit is lost, and one may reckon with what comes out."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from trade_platform.adapters.database.history import Column, Kind
from trade_platform.adapters.frames import TooManyDigits, frame
from trade_platform.domain.ohlc import EXACT

COLUMNS = (
    Column("at", Kind.TIME),
    Column("price", Kind.DECIMAL),
    Column("quantity", Kind.DECIMAL, optional=True),
    Column("count", Kind.INTEGER, optional=True),
    Column("number", Kind.INTEGER),
    Column("good", Kind.TRUTH),
    Column("side", Kind.CHOICE),
    Column("word", Kind.TEXT, optional=True),
)


def line(price: str = "1.5", quantity: str = "2", *rest: str) -> bytes:
    count, number, good, side, word = rest or ("7", "1", "t", "buy", "x")
    fields = ("2026-11-22 14:00:00.5+00", price, quantity, count, number, good, side, word)
    return ",".join(fields).encode() + b"\n"


def test_every_kind_of_column_comes_as_what_it_is() -> None:
    found = frame(COLUMNS, [line() + line("-0.00000001", "", "", "2", "f", "sell", "")])
    assert str(found.index[0]) == "2026-11-22 14:00:00.500000+00:00"
    assert found.index.name == "at"
    assert found["price"].tolist() == [Decimal("1.5"), Decimal("-0.00000001")]
    assert found["quantity"].isna().tolist() == [False, True]
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        "price": "decimal256(37, 18)[pyarrow]",
        "quantity": "decimal256(37, 18)[pyarrow]",
        "count": "Int64",
        "number": "int64",
        "good": "bool",
        "side": "category",
        "word": "str",
    }
    assert found["count"].tolist() == [7, pd.NA]
    assert found["good"].tolist() == [True, False]
    assert found["side"].tolist() == ["buy", "sell"]


def test_one_may_reckon_with_it_as_it_stands() -> None:
    """The reason for its width: Arrow refuses even a sum of decimal128(38, 18)."""
    found = frame(COLUMNS, [line("1.234567890123456789", "9999999999999999999"), line("0.1", "3")])
    price, quantity = found["price"], found["quantity"]
    product = EXACT.multiply(Decimal("1.234567890123456789"), Decimal(9999999999999999999))
    assert (price * quantity).tolist()[0] == product
    assert (price + quantity).tolist()[1] == Decimal("3.1")
    assert (price - 1).tolist()[1] == Decimal("-0.9")
    assert (price / quantity).tolist()[1] == Decimal("0.03333333333333333333333333333333333333")
    assert quantity.sum() == Decimal(10000000000000000002)
    assert (price > 1).tolist() == [True, False]
    assert price.pct_change().isna().tolist() == [True, False]
    assert price.groupby(found.index.hour).max().tolist() == [Decimal("1.234567890123456789")]


@pytest.mark.parametrize(
    "value", ["0.0000000000000000000000001", "12345678901234567890123", "-1.1234567890123456789"]
)
def test_a_value_that_needs_more_digits_makes_the_frame_wider_and_keeps_them(value: str) -> None:
    found = frame(COLUMNS, [line("1.5"), line(value), line("2.5")])
    assert str(found.dtypes["price"]) == "decimal256(76, 38)[pyarrow]"
    assert found["price"].tolist() == [Decimal("1.5"), Decimal(value), Decimal("2.5")]


def test_what_no_decimal_holds_is_refused_and_never_rounded() -> None:
    with pytest.raises(TooManyDigits, match="38 digits"):
        frame(COLUMNS, [line("0." + "1" * 39)])


def test_floats_are_plain_numpy() -> None:
    found = frame(COLUMNS, [line(), line("0.1", "")], floats=True)
    assert found["price"].dtype == "float64"
    assert found["price"].tolist() == [1.5, 0.1]
    assert found["quantity"].isna().tolist() == [False, True]


def test_nothing_is_a_frame_with_the_same_columns() -> None:
    some, none = frame(COLUMNS, [line()]), frame(COLUMNS, [])
    assert len(none) == 0
    assert none.dtypes.drop("side").to_dict() == some.dtypes.drop("side").to_dict()
    assert none.index.dtype == some.index.dtype

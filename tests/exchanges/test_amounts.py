from __future__ import annotations

from decimal import Decimal

import pytest

from trade_platform.exchanges.amounts import checked, checked_optional, checked_unsigned, has_endless_number
from trade_platform.exchanges.session import ProtocolViolation


@pytest.mark.parametrize("text", ["0", "0.00", "-1.5", "1e-30", "123456789012345678901234567890.5"])
def test_what_a_market_can_have_stays_as_it_is(text: str) -> None:
    assert checked(Decimal(text)) == Decimal(text)


@pytest.mark.parametrize(
    "text", ["1E+999999", "-1E+999999", "1E-999999", "0E-999999", "Infinity", "-Infinity"]
)
def test_what_no_market_can_have_is_refused(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        checked(Decimal(text))
    with pytest.raises(ProtocolViolation):
        checked_optional(Decimal(text))


def test_a_quantity_is_not_below_zero() -> None:
    assert checked_unsigned(Decimal(0)) == 0
    assert checked_optional(None) is None
    with pytest.raises(ProtocolViolation):
        checked_unsigned(Decimal(-1))


def test_a_number_that_does_not_end_is_found_in_a_long_text() -> None:
    assert has_endless_number(b'{"price": 1.' + b"3" * 20_000 + b"}")
    assert has_endless_number('{"price": 1.' + "3" * 20_000 + "}")
    assert not has_endless_number(b'{"price": 1.3},' * 5000)

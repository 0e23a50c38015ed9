"""Rows one by one: the good, a sentence for each of the odd, and a refusal where nothing is good."""

from __future__ import annotations

import msgspec
import pytest

from trade_platform.exchanges.page import TOLD, Page, odd_rows, page_of
from trade_platform.exchanges.session import ProtocolViolation


def number(text: str) -> int:
    if text == "violation":
        raise ProtocolViolation("not ours")
    return int(text)


def test_the_good_are_kept_in_order_and_the_odd_are_told_with_their_place() -> None:
    page = page_of(["3", "x", "1", "violation"], number, (ValueError,))
    assert page == [3, 1]
    assert [one.partition(":")[0] for one in odd_rows(page)] == ["row 2", "row 4"]


def test_many_odd_rows_are_counted() -> None:
    page = page_of(["1", *"x" * (TOLD + 5)], number, (ValueError,))
    assert odd_rows(page)[-1] == "and 5 more"
    assert len(odd_rows(page)) == TOLD + 1


def test_an_error_that_nobody_expects_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        page_of(["1", "x"], number, (KeyError,))


def test_no_rows_are_a_page_and_odd_rows_alone_are_not() -> None:
    assert page_of([], number, (ValueError,)) == []
    with pytest.raises(ProtocolViolation, match="not one of 2 rows"):
        page_of(["x", "y"], number, (ValueError,))


def test_a_plain_list_tells_of_nothing_odd() -> None:
    assert odd_rows([1, 2]) == ()
    assert odd_rows(Page([1])) == ()


def test_a_row_with_a_number_that_goes_on_and_on_is_odd() -> None:
    rows = [msgspec.Raw(b"1"), msgspec.Raw(b"1" * 20_000)]
    page = page_of(rows, lambda row: len(bytes(row)), (ValueError,))
    assert page == [1]
    assert len(page.odd) == 1

from __future__ import annotations

import pytest

from trade_platform.exchanges.account import Permissions
from trade_platform.operations.account_permissions import completed, judge


def test_a_key_that_only_reads_from_one_address_is_taken_without_a_word() -> None:
    judgement = judge(Permissions(read=True, trade=False, withdraw=False, ip_restricted=True))
    assert (judgement.refusal, judgement.warnings) == ("", ())


def test_a_key_that_could_withdraw_is_refused() -> None:
    assert "may withdraw" in judge(Permissions(read=True, withdraw=True, ip_restricted=True)).refusal


@pytest.mark.parametrize(
    ("permissions", "word"),
    [
        (Permissions(read=True, trade=True, withdraw=False, ip_restricted=True), "may trade"),
        (Permissions(read=True, trade=False, withdraw=False, ip_restricted=False), "from any address"),
        (Permissions(read=True, trade=False, withdraw=False), "does not say whether this key is bound"),
        (
            Permissions(read=True, trade=False, ip_restricted=True),
            "does not say whether this key may withdraw",
        ),
        (Permissions(read=False, trade=False, withdraw=False, ip_restricted=True), "may not read"),
    ],
)
def test_what_a_key_may_too_much_or_too_little_is_said(permissions: Permissions, word: str) -> None:
    [warning] = judge(permissions).warnings
    assert word in warning
    assert judge(permissions).refusal == ""


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (None, None, None),
        (None, False, False),
        (True, None, True),
        (False, True, True),
        (False, False, False),
    ],
)
def test_of_two_answers_the_one_that_allows_more_counts(
    one: bool | None, other: bool | None, both: bool | None
) -> None:
    for first, more in ((one, other), (other, one)):
        told = completed(Permissions(withdraw=first, trade=first), Permissions(withdraw=more, trade=more))
        assert (told.withdraw, told.trade) == (both, both)
    assert completed(Permissions(ip_restricted=None), Permissions(ip_restricted=True)).ip_restricted is True

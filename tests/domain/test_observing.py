"""Two observations before anything is raised."""

from __future__ import annotations

from trade_platform.domain.difference import Difference, DifferenceKind, Subject
from trade_platform.domain.observing import seen_again


def balance(ours: str | None, theirs: str | None, key: str = "BTC") -> Difference:
    return Difference(
        subject=Subject.BALANCES,
        key=key,
        kind=DifferenceKind.MISMATCHED,
        field="total",
        ours=ours,
        theirs=theirs,
    )


def test_what_is_seen_once_may_pass() -> None:
    assert seen_again([[balance("1", "2")]]) == ([], [balance("1", "2")])
    assert seen_again([]) == ([], [])


def test_what_stands_still_beside_theirs_is_raised() -> None:
    assert seen_again([[balance("1", "2")], [balance("1", "5")]]) == ([balance("1", "5")], [])


def test_what_follows_theirs_as_far_off_as_before_is_raised() -> None:
    confirmed, pending = seen_again([[balance("10", "12")], [balance("20", "22")]])
    assert (len(confirmed), pending) == (1, [])


def test_what_comes_after_theirs_is_only_behind() -> None:
    assert seen_again([[balance("10", "12")], [balance("12", "13")]])[0] == []


def test_whatever_is_there_three_times_is_raised() -> None:
    seen = [[balance("1", "3")], [balance("3", "4")], [balance("4", "9")]]
    assert len(seen_again(seen)[0]) == 1


def test_what_is_gone_is_not_raised() -> None:
    assert seen_again([[balance("1", "2")], []]) == ([], [])


def test_a_word_is_compared_as_it_is() -> None:
    assert len(seen_again([[balance("open", None)], [balance("open", None)]])[0]) == 1
    assert seen_again([[balance("open", "filled")], [balance("untriggered", "filled")]])[0] == []

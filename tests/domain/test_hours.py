"""How much of an hour is proven."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.coverage import Ranges
from trade_platform.domain.hours import (
    HOUR,
    Recorded,
    holes_by_day,
    is_silent,
    mean_share,
    missing_minutes,
    proven_hours,
    shares_of_minutes,
    shares_of_trades,
)
from trade_platform.domain.model import MINUTE

HOURS = [HOUR * n for n in range(100, 106)]
END = HOURS[-1] + HOUR


def recorded(times: dict[int, int], *, begun_before: bool = False) -> Recorded:
    """Number → event time of what is held."""
    ends: dict[int, tuple[int, int]] = {}
    for number in sorted(times, key=lambda n: (times[n], n)):
        hour = times[number] - times[number] % HOUR
        ends[hour] = (ends.get(hour, (number, 0))[0], number)
    return Recorded(
        held=Ranges.of(sorted(times) if not begun_before else [min(times) - 1, *sorted(times)]),
        begun_before=begun_before,
        count=len(times),
        first=min(times.values()),
        last=max(times.values()),
        ends=ends,
    )


def every_ten_minutes(missing: set[int] | None = None) -> dict[int, int]:
    """Number n at n × 10 min after the first hour's opening: six an hour."""
    lost = missing or set()
    return {n: HOURS[0] + n * 10 * MINUTE for n in range(36) if n not in lost}


def test_hours_within_an_unbroken_sequence_are_proven() -> None:
    shares = shares_of_trades(recorded(every_ten_minutes()), {}, HOURS, END + HOUR)
    assert shares[1:5] == [1.0] * 4


def test_a_hole_spoils_the_hours_that_it_touches_and_no_other() -> None:
    """13 is missing in the third hour; the numbers around it are 12 and 14, both in it, too."""
    one = recorded(every_ten_minutes({13}), begun_before=True)
    assert proven_hours(one, HOURS) == {HOURS[0], HOURS[1], HOURS[3], HOURS[4]}
    shares = shares_of_trades(one, {HOURS[2]: 57}, HOURS, END + HOUR)
    assert shares[:5] == [1.0, 1.0, 57 / 60, 1.0, 1.0]


def test_a_hole_across_an_hour_s_end_spoils_both_hours() -> None:
    one = recorded(every_ten_minutes({11, 12}), begun_before=True)
    assert HOURS[1] not in proven_hours(one, HOURS)
    assert HOURS[2] not in proven_hours(one, HOURS)


def test_an_hour_in_which_all_is_missing_is_nothing_but_one_in_which_nothing_traded_is_whole() -> None:
    lost = recorded(every_ten_minutes(set(range(12, 18))), begun_before=True)
    assert shares_of_trades(lost, {}, HOURS, END + HOUR)[2] == 0.0
    quiet = dict(enumerate(at for n, at in every_ten_minutes().items() if n // 6 != 2))
    quiet.pop(3)  # somewhere else a number is missing
    one = recorded(quiet, begun_before=True)
    assert proven_hours(one, HOURS) >= {HOURS[2]}


def test_what_lies_before_the_recording_is_not_counted() -> None:
    times = {n: at for n, at in every_ten_minutes().items() if at >= HOURS[2] + 30 * MINUTE}
    shares = shares_of_trades(recorded(times), {HOURS[2]: 29}, HOURS, END + HOUR)
    assert shares[:4] == [None, None, 1.0, 1.0]


def test_a_running_hour_is_judged_by_its_minutes_that_are_over() -> None:
    """Its newest trade is at :50; one minute of fifty is not proven."""
    times = every_ten_minutes()
    now = HOURS[-1] + 53 * MINUTE
    assert shares_of_trades(recorded(times), {HOURS[-1]: 49}, HOURS, now)[-1] == 49 / 50


def test_an_instrument_that_may_just_be_quiet_is_not_called_lost() -> None:
    times = {n: at for n, at in every_ten_minutes().items() if at < HOURS[3]}
    shares = shares_of_trades(recorded(times), {HOURS[2]: 50}, HOURS, HOURS[-1] + 30 * MINUTE)
    assert shares[2:] == [1.0, None, None, None]


def test_an_instrument_that_should_have_traded_long_since_is() -> None:
    """A trade each second, and then nothing for hours."""
    times = {n: HOURS[0] + n * 1_000_000 for n in range(3600)}
    one = recorded(times)
    assert is_silent(one, HOURS[2])
    assert not is_silent(one, HOURS[1] + 10_000_000)
    assert shares_of_trades(one, {HOURS[0]: 58}, HOURS, HOURS[3])[:4] == [58 / 59, 0.0, 0.0, None]


@given(
    st.sets(st.integers(0, 35), max_size=20),
    st.booleans(),
)
def test_no_hour_with_a_missing_number_is_ever_called_whole(missing: set[int], begun: bool) -> None:
    """Whatever is missing between the first and the last that is held."""
    times = every_ten_minutes(missing)
    if len(times) < 2:
        return
    one = recorded(times, begun_before=begun)
    proven = proven_hours(one, HOURS)
    for number in range(min(times), max(times)):
        if number in missing:
            assert HOURS[number // 6] not in proven


def test_candles_alone_are_judged_by_their_minutes() -> None:
    told = {HOURS[1]: 30, HOURS[2]: 60, HOURS[3]: 45}
    first = HOURS[1] + 30 * MINUTE
    shares = shares_of_minutes(told, HOURS, first, HOURS[4] + 2 * MINUTE)
    assert shares == [None, 1.0, 1.0, 0.75, None, None]
    assert missing_minutes(told, HOURS, first, HOURS[4] + 2 * MINUTE) == {HOURS[3]: 15}


def test_minutes_that_nobody_serves_again_are_not_missing() -> None:
    told = {HOURS[0]: 60, HOURS[1]: 50}
    lost = [(HOURS[1] + 10 * MINUTE, HOURS[1] + 20 * MINUTE)]
    assert missing_minutes(told, HOURS[:2], HOURS[0], HOURS[3], lost) == {}
    assert missing_minutes(told, HOURS[:2], HOURS[0], HOURS[3]) == {HOURS[1]: 10}


DAYS = [date(2026, 11, n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("held", "given_up", "expected"),
    [
        (("{[1,10)}", "{[10,20)}", "{[20,30)}"), "{}", {}),
        (("{[1,10)}", "{[10,13),[15,20)}", "{[20,30)}"), "{}", {1: 2}),
        (("{[1,8)}", "{[10,20)}", "{[20,30)}"), "{}", {0: 2, 1: 2}),
        (("{[1,8)}", "{[10,20)}", "{[20,30)}"), "{[8,10)}", {}),
        (("{[1,8)}", "{[10,20)}", "{[20,30)}"), "{[8,9)}", {0: 1, 1: 1}),
        (("{[1,10)}", "{}", "{[15,30)}"), "{}", {0: 5, 2: 5}),
    ],
)
def test_a_hole_lies_on_the_days_of_its_neighbours(
    held: tuple[str, ...], given_up: str, expected: dict[int, int]
) -> None:
    days = {day: Ranges.from_text(text) for day, text in zip(DAYS, held, strict=True)}
    found = holes_by_day(days, Ranges.from_text(given_up))
    assert {day: ranges.count for day, ranges in found.items()} == {DAYS[n]: c for n, c in expected.items()}


def test_the_mean_is_of_what_is_known() -> None:
    assert mean_share([1.0, None, 0.5]) == 0.75
    assert mean_share([None]) is None
    assert mean_share([1.0] * 1000) == 1.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.exchanges.limits import CONNECTIONS, Bucket, Limit, by_name
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange

limits = st.builds(
    Limit,
    name=st.just("weight"),
    capacity=st.integers(10, 6000),
    per_seconds=st.floats(1, 300),
    bucket=st.booleans(),
)
steps = st.lists(st.tuples(st.floats(0, 90), st.floats(0.01, 1), st.booleans()), min_size=1, max_size=60)


def spent_in(spent: list[tuple[float, float]], begin: float, seconds: float) -> float:
    return sum(cost for at, cost in spent if begin <= at < begin + seconds)


@given(limits, steps)
def test_no_window_ever_holds_more_than_the_limit(
    limit: Limit, schedule: list[tuple[float, float, bool]]
) -> None:
    bucket, now, spent = Bucket(limit, 1.0), 0.0, []
    for pause, part, patient in schedule:
        now += pause
        cost = part * limit.burst
        if patient or not bucket.lacks(cost, now):
            spent.append((now + bucket.take(cost, now), cost))
    for begin, _ in spent:
        within = limit.per_seconds
        assert spent_in(spent, begin, within) <= (limit.burst + limit.rate * within) * (1 + 1e-9)
    if not limit.bucket:
        assert limit.burst + limit.rate * limit.per_seconds <= limit.capacity


@given(limits, steps)
def test_where_the_exchange_keeps_a_bucket_it_is_never_empty(
    limit: Limit, schedule: list[tuple[float, float, bool]]
) -> None:
    bucket, now, spent = Bucket(limit, 1.0), 0.0, []
    for pause, part, _ in schedule:
        now += pause
        cost = part * limit.burst
        spent.append((now + bucket.take(cost, now), cost))
    theirs, at = limit.capacity, 0.0
    if limit.bucket:
        for when, cost in spent:
            theirs = min(limit.capacity, theirs + (when - at) * limit.capacity / limit.per_seconds) - cost
            at = when
            assert theirs >= -1e-6


def test_what_the_shared_bucket_gave_counts_against_the_own_share_and_leaves_no_debt() -> None:
    bucket = Bucket(Limit("weight", 400, 100), 0.25)  # 25 at once, 0.5 a second
    bucket.note(1000, 0.0)
    assert bucket.lacks(1, 0.0) == pytest.approx(2)
    assert bucket.lacks(1, 2.0) == 0


def test_shares_of_four_processes_after_a_burst_stay_inside_the_limit() -> None:
    """The worst change-over: one spent all of the shared bucket, and then each its own share."""
    for exchange in EXCHANGES.values():
        for limit in exchange.limits:
            change_over = limit.burst * 0.75
            if limit.bucket:
                assert limit.burst + change_over <= limit.capacity
            else:
                assert limit.burst + change_over + limit.rate * limit.per_seconds <= limit.capacity


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_every_request_of_an_exchange_has_its_limit(exchange: Exchange) -> None:
    held = by_name(exchange.limits)
    assert CONNECTIONS in held
    requests = [
        *exchange.instruments_requests(),
        exchange.status_request(),
        exchange.time_request(),
        exchange.candles_request("X", 0, 1),
    ]
    for request in requests:
        assert request.weight <= held[request.limit].burst


def test_published_figures() -> None:
    assert [(one.name, one.capacity, one.per_seconds) for one in EXCHANGES["binance_spot"].limits] == [
        ("weight", 6000, 60),
        ("connections", 300, 300),
    ]
    subscribe = by_name(EXCHANGES["deribit"].limits)["subscribe"]
    assert subscribe.burst <= 10
    assert subscribe.rate <= 3.3

"""A market's past: it joins the present without a hole, and is the same whenever and wherever it is asked."""

from __future__ import annotations

import shutil
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamers.simulator import history
from streamers.simulator.assembly import Plan, assemble
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.history import NoSuchPast
from streamers.simulator.past import BUSY, DAY_MS
from streamers.simulator.tape import Print, Row
from tests.streamers.simulator.conftest import START, URLS, Wire, make_exchange
from tests.streamers.simulator.past import (
    CHANNELS,
    DAYS,
    FIRST,
    KEYS,
    MINUTE_MS,
    SYMBOL,
    TRADES,
    whole,
    with_past,
)
from trade_platform.adapters.process import CannotStart


@pytest.fixture(params=KEYS)
def one(request: pytest.FixtureRequest) -> Wire:
    """An exchange with three days behind it, and two minutes of business heard."""
    wire = Wire(with_past(request.param), URLS[request.param])
    wire.run(START + 20_000_000)
    wire.subscribe(*TRADES[request.param])
    wire.run(START + 120_000_000)
    return wire


# --- numbers ---


def test_numbers_go_on_from_the_past_into_the_present(one: Wire) -> None:
    key = one.exchange.key
    for channel in CHANNELS[key]:
        prints = whole(one, channel)
        assert prints[0].time < FIRST + DAY_MS
        assert prints[-1].time > START // 1000
        steps = {after.sequence - before.sequence for before, after in pairwise(prints)}
        assert steps == {1} if (key, channel) != ("binance_usdm", "trade") else max(steps) < 8
        assert all(before.time <= after.time for before, after in pairwise(prints))


def test_every_other_instrument_joins_likewise(one: Wire) -> None:
    """Thin ones too, and those whose trades nobody asked for."""
    channel = CHANNELS[one.exchange.key][0]
    for symbol, pit in one.exchange.source.pits.items():  # type: ignore[attr-defined]
        numbers = [print_.sequence for print_ in whole(one, channel, symbol)]
        assert (
            numbers == list(range(numbers[0], numbers[-1] + 1))
            if numbers
            else not pit.listing.orders_per_second
        )


def test_aggregates_are_made_of_trades(one: Wire) -> None:
    if one.exchange.key == "deribit":
        return
    trades = {print_.sequence: print_ for print_ in whole(one, "trade")}
    aggregates = whole(one, "aggregate_trade")
    past = [print_ for print_ in aggregates if print_.time < START // 1000 - 30 * MINUTE_MS]
    for aggregate in past:
        inside = [trades[number] for number in range(aggregate.first_id, aggregate.last_id + 1)]
        assert {(t.price, t.buy, t.time) for t in inside} == {
            (aggregate.price, aggregate.buy, aggregate.time)
        }
        assert sum(Decimal(t.quantity) for t in inside) == Decimal(aggregate.quantity)
    joints = [after.first_id - before.last_id for before, after in pairwise(past)]
    if one.exchange.key == "binance_spot":
        assert set(joints) == {1}
    else:
        assert max(joints) > 1  # raw numbers were used up and never printed
        for before, after in pairwise(past):
            same = (before.price, before.buy) == (after.price, after.buy)
            assert not (same and before.time // 100 == after.time // 100)  # they would have been one


def test_prices_and_thickness_are_plausible(one: Wire) -> None:
    source: Any = one.exchange.source
    for symbol, pit in source.pits.items():
        days = source.history.days(symbol)
        prints = whole(one, "trade", symbol)
        if not days:
            assert pit.listing.symbol == "LUNCUSDT"
            continue
        assert [day.begin for day in days] == [FIRST + place * DAY_MS for place in range(DAYS + 1)]
        share = min(1.0, pit.listing.orders_per_second / BUSY)
        assert all(day.fills <= max(400 * share * 1.5 + 1, 1) for day in days)
        assert sum(day.fills for day in days) == len([p for p in prints if p.time < source.history.end])
        last = [p for p in prints if p.time < source.history.end][-1]
        first = next((p for p in prints if p.time >= source.history.end), None)
        if first and pit.listing.strike is None:
            assert abs(Decimal(first.price) / Decimal(last.price) - 1) < Decimal("0.03")
        for before, after in pairwise(p for p in prints if p.time < source.history.end):
            assert abs(Decimal(after.price) - Decimal(before.price)) < Decimal(before.price) / 2 + 1


def test_numbers_that_reach_back_too_far_are_refused() -> None:
    with pytest.raises(NoSuchPast, match="fewer days"):
        with_past("binance_spot", days=3000, rate=500_000)


def test_a_day_is_the_same_however_long_the_past_is_and_whatever_was_asked_before() -> None:
    for key in KEYS:
        short, long = with_past(key).source, with_past(key, days=30).source
        other = with_past(key, seed=8).source
        channel, symbol = CHANNELS[key][0], SYMBOL[key]
        since = FIRST + DAY_MS
        log = short.tape.log(symbol, channel)
        backwards = list(log.descending())[::-1]
        assert [p for p in backwards if p.time >= since] == list(log.ascending(time=since))
        assert list(log.ascending(time=since)) == list(long.tape.log(symbol, channel).ascending(time=since))
        prices = [p.price for p in log.ascending(time=since)]
        assert prices[:50] != [p.price for p in other.tape.log(symbol, channel).ascending(time=since)][:50]


def test_the_live_market_is_the_same_with_and_without_a_past(one: Wire) -> None:
    key = one.exchange.key
    plain = Wire(make_exchange(key), URLS[key])
    plain.run(START + 20_000_000)
    plain.subscribe(*TRADES[key])
    plain.run(START + 120_000_000)
    assert plain.texts == one.texts
    assert plain.exchange.ledger.lines == one.exchange.ledger.lines


def test_no_more_than_so_much_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_ITEMS", 2_000)
    source: Any = with_past("binance_spot", days=20).source
    kept = source.history._kept
    for symbol in ("BTCUSDT", "ETHUSDT"):
        list(source.tape.log(symbol, "trade").ascending())
        source.past(symbol, 0, START // 1000, 10**6, newest=True)
    assert sum(map(len, kept._lists.values())) == kept._items <= 2_000
    assert kept._lists


class Clock:
    """Market time that is set by hand."""

    def __init__(self, now: int) -> None:
        self.now = now

    def market(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return 0.0


def life(folder: Path, key: str, now: int, **plan: Any) -> Any:
    return assemble(Plan(seed=7, **plan), key, folder, Clock(now))


def everything_of(exchange: SimulatedExchange) -> dict[tuple[str, str], list[Print]]:
    channels = CHANNELS[exchange.key]
    return {
        (symbol, channel): list(exchange.source.tape.log(symbol, channel).ascending())
        for symbol in exchange.source.instruments()
        for channel in channels
    }


def rows_of(exchange: SimulatedExchange, symbol: str, until: int) -> list[Row]:
    past = exchange.source.past(symbol, 0, until, 10**6, newest=False)
    return [row for row in (*past, *exchange.source.rows(symbol)) if row.open_time + MINUTE_MS <= until]


@pytest.mark.parametrize("key", KEYS)
def test_after_a_kill_the_past_is_the_same_and_nothing_between_is_lost(tmp_path: Path, key: str) -> None:
    """What was printed before anybody subscribed, and of instruments that nobody ever did, is there too."""
    first = life(tmp_path, key, START, history_days=DAYS, history_rate=400)
    wire = Wire(first.exchange, URLS[key])
    wire.run(START + 130_000_000)
    wire.subscribe(*TRADES[key])
    wire.run(START + 290_000_000)
    known = everything_of(first.exchange)
    assert len(known[SYMBOL[key], CHANNELS[key][0]]) > 1500
    minutes = rows_of(first.exchange, SYMBOL[key], START // 1000 + 240_000)
    shutil.copytree(tmp_path, tmp_path / "killed")  # as the files are now: nothing was closed
    again = life(tmp_path / "killed", key, START + 300_000_000)
    wire = Wire(again.exchange, URLS[key])
    wire.run(START + 400_000_000)
    for (symbol, channel), prints in everything_of(again.exchange).items():
        before = known[symbol, channel]
        told = [(p.sequence, p.price, p.quantity, p.buy, p.time, p.first_id, p.last_id) for p in prints]
        assert told[: len(before)] == [
            (p.sequence, p.price, p.quantity, p.buy, p.time, p.first_id, p.last_id) for p in before
        ]
        if (key, channel) != ("binance_usdm", "trade"):
            assert all(b.sequence - a.sequence == 1 for a, b in pairwise(prints)), (symbol, channel)
    assert rows_of(again.exchange, SYMBOL[key], START // 1000 + 240_000) == minutes
    cut_in_two = rows_of(again.exchange, SYMBOL[key], START // 1000 + 300_000)[-1]
    counted = [
        p
        for p in whole(wire, CHANNELS[key][0])
        if cut_in_two.open_time <= p.time < cut_in_two.open_time + MINUTE_MS
    ]
    traded = sum(Decimal(p.quantity) for p in counted)
    assert traded == Decimal(cut_in_two.quote_volume if key == "deribit" else cut_in_two.volume)


def test_what_a_data_folder_began_with_holds(tmp_path: Path) -> None:
    life(tmp_path, "deribit", START, history_days=DAYS, history_rate=400).close()
    later = START + 5_000_000
    for options in ({"history_rate": 500}, {"history_rate": 500, "history_days": 2}):
        with pytest.raises(CannotStart, match="--history-rate 400"):
            life(tmp_path, "deribit", later, **options)
    with pytest.raises(CannotStart, match="--seed 7"):
        assemble(Plan(seed=8), "deribit", tmp_path, Clock(later))
    longer = life(tmp_path, "deribit", later, history_days=5)
    assert len(longer.exchange.source.history.days("BTC-PERPETUAL")) == 6
    longer.close()
    life(tmp_path / "other", "deribit", START).close()
    with pytest.raises(CannotStart, match="began without a past"):
        life(tmp_path / "other", "deribit", later, history_days=1)
    with pytest.raises(CannotStart, match="recorded session"):
        life(tmp_path / "third", "deribit", START, history_days=1, captures=(Path("session.jsonl"),))

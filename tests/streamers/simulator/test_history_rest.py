"""The past over REST, as archive and as oracle: every way to ask tells the same."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from itertools import groupby, pairwise
from typing import Any

import pytest

from streamers.simulator.history_rest import Unanswerable, history_of
from streamers.simulator.past import DAY_MS
from streamers.simulator.tape import Print
from tests.streamers.simulator.conftest import START, URLS, Wire
from tests.streamers.simulator.past import (
    CHANNELS,
    DAYS,
    FIRST,
    KEYS,
    MINUTE_MS,
    SYMBOL,
    TRADES,
    ask,
    iso,
    summed,
    whole,
    with_past,
)


@pytest.fixture(params=KEYS)
def one(request: pytest.FixtureRequest) -> Wire:
    """An exchange with three days behind it, and two minutes of business heard."""
    wire = Wire(with_past(request.param), URLS[request.param])
    wire.run(START + 20_000_000)
    wire.subscribe(*TRADES[request.param])
    wire.run(START + 120_000_000)
    return wire


# --- trades ---


def pages(one: Wire, path: str, first: int, name: str, key: str, limit: int) -> Iterator[dict[str, Any]]:
    """By number, page by page, until nothing more comes."""
    now = 0.0
    while True:
        page = ask(one, path, now, symbol="BTCUSDT", **{name: first, "limit": limit})
        yield from page
        if len(page) < limit:
            return
        first, now = page[-1][key] + 1, now + 60.0


@pytest.mark.parametrize(
    ("key", "path", "channel", "number"),
    [
        ("binance_spot", "/api/v3/historicalTrades", "trade", "id"),
        ("binance_spot", "/api/v3/aggTrades", "aggregate_trade", "a"),
        ("binance_usdm", "/fapi/v1/aggTrades", "aggregate_trade", "a"),
        ("binance_usdm", "/fapi/v1/historicalTrades", "trade", "id"),
    ],
)
def test_binance_by_number(key: str, path: str, channel: str, number: str) -> None:
    one = Wire(with_past(key), URLS[key])
    prints = whole(one, channel)
    first = prints[3].sequence
    rows = list(pages(one, path, first, "fromId", number, 500))
    assert [row[number] for row in rows] == [p.sequence for p in prints[3:]]
    assert [row.get("p", row.get("price")) for row in rows] == [p.price for p in prints[3:]]
    assert [row.get("T", row.get("time")) for row in rows] == [p.time for p in prints[3:]]
    assert ask(one, path, 9e3, symbol="BTCUSDT", fromId=1, limit=1)[0][number] == prints[0].sequence


@pytest.mark.parametrize("key", ["binance_spot", "binance_usdm"])
def test_binance_aggregates_by_time(key: str) -> None:
    one = Wire(with_past(key), URLS[key])
    path = "/api/v3/aggTrades" if key == "binance_spot" else "/fapi/v1/aggTrades"
    prints = whole(one, "aggregate_trade")
    since = FIRST + DAY_MS + 7 * 60 * MINUTE_MS
    until = since + 60 * MINUTE_MS - 1
    rows = ask(one, path, 0.0, symbol="BTCUSDT", startTime=since, endTime=until, limit=1000)
    assert [row["a"] for row in rows] == [p.sequence for p in prints if since <= p.time <= until]
    assert rows
    newest = ask(one, path, 0.0, symbol="BTCUSDT", endTime=until, limit=5)
    assert newest == rows[-5:]
    following = ask(one, path, 0.0, symbol="BTCUSDT", startTime=since, limit=3)
    assert following == rows[:3]


def test_usdm_reaches_back_so_many_hours_and_the_archive_further() -> None:
    one = Wire(with_past("binance_usdm"), URLS["binance_usdm"])
    rest: Any = one.exchange.rest
    rest.trades.reach_seconds = 24 * 3600
    day = FIRST + DAY_MS
    assert ask(one, "/fapi/v1/aggTrades", 0.0, symbol="BTCUSDT", startTime=day, limit=10) == []
    recent = START // 1000 - 20 * 60 * MINUTE_MS
    assert ask(one, "/fapi/v1/aggTrades", 0.0, symbol="BTCUSDT", startTime=recent, limit=10)
    assert history_of(one.exchange.source, {"symbol": "BTCUSDT", "day": iso(day)}).channels["trade"].count


def test_deribit_by_number_and_by_time() -> None:
    one = Wire(with_past("deribit"), URLS["deribit"])
    prints = whole(one, "trade")
    path = "/api/v2/public/get_last_trades_by_instrument"
    name = {"instrument_name": "BTC-PERPETUAL"}
    first = prints[10].sequence
    result = ask(one, path, 0.0, **name, start_seq=first, end_seq=first + 700, count=1000, sorting="asc")[
        "result"
    ]
    assert [t["trade_seq"] for t in result["trades"]] == list(range(first, first + 701))
    assert not result["has_more"]
    assert [t["timestamp"] for t in result["trades"]] == [p.time for p in prints[10:711]]
    since, until = FIRST + DAY_MS, FIRST + DAY_MS + 5 * 60 * MINUTE_MS
    inside = [p.sequence for p in prints if since <= p.time <= until]
    times = {"start_timestamp": since, "end_timestamp": until, "count": 1000}
    result = ask(one, f"{path}_and_time", 0.0, **name, **times, sorting="asc")["result"]
    assert [t["trade_seq"] for t in result["trades"]] == inside
    result = ask(one, f"{path}_and_time", 0.0, **name, **times | {"count": 5})["result"]
    assert [t["trade_seq"] for t in result["trades"]] == inside[:-6:-1]
    assert result["has_more"]
    fields = {"timestamp", "price", "amount", "direction", "index_price", "instrument_name", "trade_seq"}
    assert all(
        fields | {"mark_price", "tick_direction", "contracts", "trade_id"} == set(t) for t in result["trades"]
    )
    option = next(s for s, pit in one.exchange.source.pits.items() if pit.listing.strike)  # type: ignore[attr-defined]
    row = ask(one, path, 1.0, instrument_name=option, end_timestamp=START // 1000 - DAY_MS)["result"][
        "trades"
    ][0]
    assert row["iv"] > 0


# --- minutes ---


def minutes_of(prints: list[Print], until: int) -> dict[int, list[Any]]:
    """An own count of what the rows of Binance must hold, from open to taker quote volume."""
    found: dict[int, list[Any]] = {}
    inside = (p for p in prints if p.time < until)
    for open_time, group in groupby(inside, lambda p: p.time // MINUTE_MS * MINUTE_MS):
        rows = list(group)
        prices = [Decimal(p.price) for p in rows]
        bought = [p for p in rows if p.buy]
        found[open_time] = [
            prices[0], max(prices), min(prices), prices[-1], sum(Decimal(p.quantity) for p in rows),
            cut(sum(Decimal(p.price) * Decimal(p.quantity) for p in rows)),
            sum(p.last_id - p.first_id + 1 for p in rows), sum(Decimal(p.quantity) for p in bought),
            cut(sum(Decimal(p.price) * Decimal(p.quantity) for p in bought)),
        ]  # fmt: skip
    return found


def cut(value: Decimal | int) -> Decimal:
    return Decimal(value).quantize(Decimal("1e-8"), ROUND_DOWN)


def klines(one: Wire, interval: str, **query: Any) -> list[Any]:
    prefix = "/api/v3" if one.exchange.key == "binance_spot" else "/fapi/v1"
    return list(ask(one, f"{prefix}/klines", 0.0, symbol="BTCUSDT", interval=interval, **query))


@pytest.mark.parametrize("key", ["binance_spot", "binance_usdm"])
def test_klines_are_the_count_of_the_trades(key: str) -> None:
    one = Wire(with_past(key), URLS[key])
    expected = minutes_of(whole(one, CHANNELS[key][0]), START // 1000)
    rows: list[Any] = []
    since = 0
    while page := klines(one, "1m", startTime=since, limit=1000):
        rows += page
        since = page[-1][0] + 1
    assert rows[0][0] == FIRST
    assert [after[0] - before[0] for before, after in pairwise(rows)] == [MINUTE_MS] * (len(rows) - 1)
    for before, after in pairwise(rows):
        traded = expected.get(after[0])
        figures = [Decimal(after[place]) for place in (1, 2, 3, 4, 5, 7, 8, 9, 10)]
        assert figures == (traded or [Decimal(before[4])] * 4 + [0] * 5), after
    assert sum(row[8] for row in rows) == sum(minute[6] for minute in expected.values())
    assert (
        klines(one, "1m", endTime=since - DAY_MS, limit=7)[-1][0] == (since - DAY_MS) // MINUTE_MS * MINUTE_MS
    )


@pytest.mark.parametrize("key", ["binance_spot", "binance_usdm"])
@pytest.mark.parametrize(("interval", "span"), [("5m", 5), ("1h", 60), ("4h", 240), ("1d", 1440)])
def test_longer_klines_hold_the_minutes(key: str, interval: str, span: int) -> None:
    one = Wire(with_past(key), URLS[key])
    day = FIRST + DAY_MS
    minutes = klines(one, "1m", startTime=day, limit=720) + klines(
        one, "1m", startTime=day + DAY_MS // 2, limit=720
    )
    assert len(minutes) == 1440
    longer = klines(one, interval, startTime=day, endTime=day + DAY_MS - 1, limit=1000)
    assert [row[0] for row in longer] == list(range(day, day + DAY_MS, span * MINUTE_MS))
    for place, row in enumerate(longer):
        inside = minutes[place * span : (place + 1) * span]
        assert (row[1], row[4]) == (inside[0][1], inside[-1][4])
        assert Decimal(row[2]) == max(Decimal(m[2]) for m in inside)
        assert Decimal(row[3]) == min(Decimal(m[3]) for m in inside)
        for column in (5, 7, 8, 9, 10):
            assert Decimal(row[column]) == sum(Decimal(m[column]) for m in inside)
    assert klines(one, interval, endTime=day + DAY_MS - 1, limit=1) == longer[-1:]
    (following,) = klines(one, interval, startTime=day + 1, limit=1)
    assert following[0] == day + span * MINUTE_MS


def test_the_chart_of_deribit_is_the_count_of_the_trades() -> None:
    one = Wire(with_past("deribit"), URLS["deribit"])
    prints = whole(one, "trade")
    path, day = "/api/v2/public/get_tradingview_chart_data", FIRST + DAY_MS

    def chart(resolution: str, start: int, end: int) -> Any:
        query = {"resolution": resolution, "start_timestamp": start, "end_timestamp": end}
        return ask(one, path, 0.0, instrument_name="BTC-PERPETUAL", **query)["result"]

    minutes = chart("1", day, day + DAY_MS - 1)
    assert minutes["ticks"] == list(range(day, day + DAY_MS, MINUTE_MS))
    traded = {
        at: list(group)
        for at, group in groupby(
            (p for p in prints if day <= p.time < day + DAY_MS), lambda p: p.time // MINUTE_MS * MINUTE_MS
        )
    }
    for place, at in enumerate(minutes["ticks"]):
        rows = traded.get(at, [])
        cost = sum(Decimal(p.quantity) for p in rows)
        volume = sum((Decimal(p.quantity) / Decimal(p.price) for p in rows), Decimal(0))
        assert Decimal(str(minutes["cost"][place])) == cost
        assert abs(Decimal(str(minutes["volume"][place])) - volume) <= Decimal("5.1e-9")
        if rows:
            assert minutes["open"][place] == float(rows[0].price)
            assert minutes["high"][place] == max(float(p.price) for p in rows)
            assert minutes["close"][place] == float(rows[-1].price)
    hours = chart("60", day, day + DAY_MS - 1)
    assert len(hours["ticks"]) == 24
    assert hours["high"][3] == max(minutes["high"][180:240])
    assert sum(hours["cost"]) == sum(minutes["cost"])
    everything = chart("1", 0, START // 1000)
    assert len(everything["ticks"]) == (START // 1000 - FIRST) // MINUTE_MS + 1 <= 5000
    assert len(chart("1D", 0, START // 1000)["ticks"]) == DAYS + 1


# --- archive and oracle ---


def table(data: bytes) -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        (name,) = file.namelist()
        return list(csv.reader(io.StringIO(file.read(name).decode())))


@pytest.mark.parametrize("key", ["binance_spot", "binance_usdm"])
def test_a_past_day_is_in_the_archive(key: str) -> None:
    one = Wire(with_past(key), URLS[key])
    archive, header = one.exchange.archive, key == "binance_usdm"
    assert archive is not None
    day = FIRST + DAY_MS
    scale = 1000 if key == "binance_spot" else 1
    folder = f"/archive/data/{'spot' if key == 'binance_spot' else 'futures/um'}/daily"

    def rows(kind: str, name: str, more: str = "") -> list[list[str]]:
        path = f"{folder}/{kind}/BTCUSDT/{more}BTCUSDT-{name}-{iso(day)}.zip"
        data = archive.answer(path, 0.0)
        said = archive.answer(f"{path}.CHECKSUM", 1.0)
        assert data is not None
        assert said is not None
        assert said.decode().split()[0] == hashlib.sha256(data).hexdigest()
        return table(data)[header:]

    for kind, channel, column in (("trades", "trade", 4), ("aggTrades", "aggregate_trade", 5)):
        inside = [p for p in whole(one, channel) if day <= p.time < day + DAY_MS]
        found = [(int(row[0]), row[1], row[2], int(row[column])) for row in rows(kind, kind)]
        assert found == [(p.sequence, p.price, p.quantity, p.time * scale) for p in inside]
    minutes = rows("klines", "1m", "1m/")
    assert [int(row[0]) for row in minutes] == [at * scale for at in range(day, day + DAY_MS, MINUTE_MS)]
    served = klines(one, "1m", startTime=day, limit=1000)
    assert [row[1:6] for row in minutes[:1000]] == [row[1:6] for row in served]
    assert archive.answer(f"{folder}/trades/BTCUSDT/BTCUSDT-trades-{iso(FIRST - DAY_MS)}.zip", 0.0) is None


def test_the_oracle_tells_of_any_day(one: Wire) -> None:
    source, key = one.exchange.source, one.exchange.key
    for place in range(DAYS + 1):
        day = FIRST + place * DAY_MS
        told = history_of(source, {"symbol": SYMBOL[key], "day": iso(day)})
        assert told.over is (place < DAYS)
        assert set(told.channels) == set(CHANNELS[key])
        for channel, said in told.channels.items():
            rows = [
                (p.sequence, p.price, p.quantity, "buy" if p.buy else "sell", p.time * 1000)
                for p in whole(one, channel)
                if day <= p.time < day + DAY_MS
            ]
            assert (said.count, said.first, said.last, said.checksum) == summed(rows)
            assert rows
    nothing = history_of(source, {"symbol": SYMBOL[key], "day": iso(FIRST - DAY_MS)}).channels
    assert all((said.count, said.first) == (0, None) for said in nothing.values())


@pytest.mark.parametrize(
    "query", [{}, {"symbol": "NOPE", "day": "2026-11-01"}, {"symbol": "BTCUSDT", "day": "x"}]
)
def test_what_the_oracle_cannot_answer(query: dict[str, str]) -> None:
    with pytest.raises(Unanswerable):
        history_of(with_past("binance_spot").source, query)

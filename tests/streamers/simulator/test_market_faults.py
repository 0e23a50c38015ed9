"""Faults of the market itself: its clock, its instruments, its locks, its bursts; the ledger keeps up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamers.simulator.assembly import Plan, assemble
from streamers.simulator.faults import Fault
from streamers.simulator.listing import DERIBIT
from tests.streamers.simulator.conftest import URLS, Wire, ledger_entries

STREAM = {
    "binance_spot": "btcusdt@trade",
    "binance_usdm": "btcusdt@aggTrade",
    "deribit": "trades.BTC-PERPETUAL.100ms",
}
EVERY = sorted(URLS)
TIME = {
    "binance_spot": "/api/v3/time",
    "binance_usdm": "/fapi/v1/time",
    "deribit": "/api/v2/public/get_time",
}


def strike(one: Wire, now: float = 0.0, **fields: Any) -> None:
    one.exchange.faults.add(Fault(**fields))
    live(one, 1, now)


def live(one: Wire, seconds: int, now: float = 0.0) -> None:
    for place in range(seconds):
        one.run(one.exchange.source.now + 1_000_000, now=now + place)


def effect(one: Wire, name: str) -> int:
    return int(one.exchange.state()["faults"][name])


def ask(one: Wire, path: str, **query: str) -> Any:
    return json.loads(one.exchange.answer("GET", path, query, 1.0).body)


def times(one: Wire) -> list[int]:
    """Stamps of the trades heard, in seconds after the market's start."""
    rows = []
    for data in one.data(STREAM[one.exchange.key]):
        rows += [row["timestamp"] for row in data] if isinstance(data, list) else [data["T"]]
    return rows


@pytest.mark.parametrize("offset", [30.0, -30.0])
@pytest.mark.parametrize("key", EVERY)
def test_a_wrong_clock_stamps_everything_and_never_goes_back(wire: Any, key: str, offset: float) -> None:
    one = wire(key)
    one.subscribe(STREAM[key])
    live(one, 5)
    strike(one, 5.0, fault="clock_off", seconds=60, offset_seconds=offset)
    for second in range(6, 46):
        live(one, 1, float(second))
    told = ask(one, TIME[key])
    shown = (told["result"] if key == DERIBIT else told["serverTime"]) * 1000
    assert abs(shown - one.exchange.source.now - offset * 1_000_000) < 1_000_000
    assert effect(one, "clock_off") > 0
    during = times(one)[-1] * 1000 - one.exchange.source.now
    assert abs(during - offset * 1_000_000) < 2_000_000
    for second in range(46, 130):
        live(one, 1, float(second))
    stamps = times(one)
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] * 1000 - one.exchange.source.now) < 2_000_000, "it ended"
    written = [row["event_time"] // 1000 for row in ledger_entries(one.exchange, "trade")]
    assert written == stamps, "the ledger holds what was said"
    for candle in ledger_entries(one.exchange, "candle"):
        inside = [
            row
            for row in ledger_entries(one.exchange, "trade")
            if row["symbol"] == candle["symbol"] and 0 <= row["event_time"] - candle["open_time"] < 60_000_000
        ]
        if inside:
            assert max(float(row["price"]) for row in inside) == float(candle["high"])


@pytest.mark.parametrize("key", EVERY)
def test_a_burst(wire: Any, key: str) -> None:
    one = wire(key)
    one.subscribe(STREAM[key])
    live(one, 1)
    before = len(times(one))
    strike(one, 1.0, fault="burst", count=5_000, symbol="BTC-PERPETUAL" if key == DERIBIT else "BTCUSDT")
    live(one, 2, 2.0)
    heard = len(times(one)) - before
    assert effect(one, "burst") >= 5_000
    assert heard >= (5_000 if key != "binance_usdm" else 100), "aggregates are fewer"
    assert len(ledger_entries(one.exchange, "trade")) == len(times(one))


LISTS = {"binance_spot": "/api/v3/exchangeInfo", "binance_usdm": "/fapi/v1/exchangeInfo"}


def listed(one: Wire) -> dict[str, str]:
    """Symbol → status, as REST shows it."""
    if one.exchange.key == DERIBIT:
        found = ask(one, "/api/v2/public/get_instruments", currency="any")["result"]
        return {row["instrument_name"]: row["state"] for row in found}
    return {row["symbol"]: row["status"] for row in ask(one, LISTS[one.exchange.key])["symbols"]}


NEWS = {
    "binance_spot": ("new1usdt@trade", "btcusdt@trade"),
    "binance_usdm": ("new1usdt@aggTrade", "!contractInfo"),
    "deribit": ("trades.option.BTC.100ms", "instrument.state.any.any"),
}


@pytest.mark.parametrize("key", EVERY)
def test_a_new_instrument_is_listed_announced_and_traded(wire: Any, key: str) -> None:
    one = wire(key)
    one.subscribe(*NEWS[key])
    before = listed(one)
    strike(one, fault="listing", count=1)
    (symbol,) = listed(one).keys() - before.keys()
    assert listed(one)[symbol] in ("open", "TRADING")
    live(one, 60, 1.0)
    sequences = [row["sequence"] for row in ledger_entries(one.exchange, "trade") if row["symbol"] == symbol]
    assert sequences[:3] == [1, 2, 3], "from its first trade on: somebody asked before it was there"
    announced = [data for data in one.data(NEWS[key][1]) if data.get("s" if key != DERIBIT else "state")]
    if key == "binance_usdm":
        assert [(data["s"], data["cs"]) for data in announced] == [(symbol, "TRADING")]
    if key == DERIBIT:
        assert [(data["instrument_name"], data["state"]) for data in announced] == [(symbol, "open")]
    live(one, 65, 61.0)
    assert [row for row in ledger_entries(one.exchange, "candle") if row["symbol"] == symbol]
    assert effect(one, "listing") == 1


EXPIRING = {"binance_spot": "SOLUSDT", "binance_usdm": "SOLUSDT", "deribit": "ETH-PERPETUAL"}


@pytest.mark.parametrize("key", EVERY)
def test_an_expired_instrument_falls_silent_and_is_still_known(wire: Any, key: str) -> None:
    one, symbol = wire(key), EXPIRING[key]
    name = symbol.lower()
    streams = {
        "binance_spot": (f"{name}@trade", f"{name}@kline_1m", f"{name}@ticker"),
        "binance_usdm": (f"{name}@aggTrade", f"{name}@kline_1m", "!contractInfo"),
        "deribit": (f"trades.{symbol}.100ms", f"chart.trades.{symbol}.1", "instrument.state.future.ETH"),
    }[key]
    one.subscribe(*streams)
    live(one, 70)
    strike(one, 70.0, fault="expiry", symbol=symbol)
    live(one, 3, 71.0)
    printed = [row for row in ledger_entries(one.exchange, "trade") if row["symbol"] == symbol]
    assert len(printed) > 50
    live(one, 130, 75.0)
    assert [row for row in ledger_entries(one.exchange, "trade") if row["symbol"] == symbol] == printed
    candles = [row for row in ledger_entries(one.exchange, "candle") if row["symbol"] == symbol]
    assert candles[-1]["open_time"] == printed[-1]["event_time"] // 60_000_000 * 60_000_000, "the last minute"
    if key == DERIBIT:
        assert symbol not in listed(one)
        states = [data["state"] for data in one.data(streams[2])]
        assert states == ["settlement", "delivered"]
        gone = ask(one, "/api/v2/public/get_instruments", currency="any", expired="true")["result"]
        assert [row["instrument_name"] for row in gone] == [symbol]
        found = ask(one, "/api/v2/public/get_last_trades_by_instrument", instrument_name=symbol, count="5")
        assert found["result"]["trades"][0]["trade_seq"] == printed[-1]["sequence"]
        assert ask(one, "/api/v2/public/ticker", instrument_name=symbol)["error"]["code"] == 13020
    else:
        assert listed(one)[symbol] == {"binance_spot": "BREAK", "binance_usdm": "SETTLING"}[key]
        rows = ask(one, LISTS[key].replace("exchangeInfo", "aggTrades"), symbol=symbol, limit="1")
        assert rows
    assert effect(one, "expiry") == 1


@pytest.mark.parametrize("key", EVERY)
def test_listings_and_expiries_outlive_a_restart(tmp_path: Path, key: str, start: int) -> None:
    class Hands:
        time = start

        def market(self) -> int:
            return self.time

        def monotonic(self) -> float:
            return 0.0

    clock = Hands()
    first = assemble(Plan(), key, tmp_path, clock)
    one = Wire(first.exchange, URLS[key])
    one.subscribe(*NEWS[key])
    for name, symbol in (("listing", ""), ("expiry", EXPIRING[key])):
        strike(one, fault=name, symbol=symbol)
    live(one, 40)
    first.save()
    before = dict(listed(one))
    clock.time = one.exchange.source.now + 2_000_000
    again = assemble(Plan(), key, tmp_path, clock)
    other = Wire(again.exchange, URLS[key])
    assert listed(other) == before
    other.subscribe(*NEWS[key])
    live(other, 20)
    (new,) = [
        symbol for symbol in before if symbol.startswith("NEW") or "-83000-" in symbol or "-84000-" in symbol
    ]
    again.exchange.ledger.flush()
    lines = (tmp_path / "ledger" / f"{key}.jsonl").read_text().splitlines()
    found = [
        row["sequence"]
        for line in lines
        if (row := json.loads(line))["kind"] == "trade" and row["symbol"] == new
    ]
    assert found == list(range(1, len(found) + 1))
    first.close()
    again.close()


def test_settlement(wire: Any) -> None:
    one = wire(DERIBIT)
    one.subscribe("instrument.state.any.any", "trades.BTC-PERPETUAL.100ms")
    live(one, 2)
    before, known = len(times(one)), listed(one)
    strike(one, 2.0, fault="settlement", seconds=5, count=2)
    live(one, 1, 3.0)
    assert len(times(one)) - before > 50, "a burst"
    answer = one.exchange.answer("GET", "/api/v2/public/get_instruments", {}, 3.0)
    assert json.loads(answer.body)["error"]["code"] == 10041
    live(one, 6, 4.0)
    now = listed(one)
    assert (len(known.keys() - now.keys()), len(now.keys() - known.keys())) == (2, 2)
    assert effect(one, "settlement") == 5
    assert effect(one, "expiry") == effect(one, "listing") == 0


@pytest.mark.parametrize(
    ("fault", "status", "locked"),
    [("partial_lock", "partial", ["eth_usd"]), ("locked", "true", ["btc_usd", "eth_usd", "btc_usdc"])],
)
def test_locks_are_told_and_lifted(wire: Any, fault: str, status: str, locked: list[str]) -> None:
    one = wire(DERIBIT)
    one.subscribe("platform_state", "trades.ETH-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms")
    live(one, 3)
    strike(one, 3.0, fault=fault, seconds=10)
    live(one, 1, 4.0)
    told = ask(one, "/api/v2/public/status")["result"]
    assert told == {"locked": status, "locked_indices": locked}
    assert one.data("platform_state") == [{"price_index": name, "locked": True} for name in locked]
    before = len(one.data("trades.ETH-PERPETUAL.100ms")), len(times(one))
    live(one, 7, 5.0)
    assert len(one.data("trades.ETH-PERPETUAL.100ms")) == before[0]
    assert (len(times(one)) > before[1]) is (fault == "partial_lock")
    live(one, 8, 13.0)
    assert len(one.data("trades.ETH-PERPETUAL.100ms")) > before[0]
    assert ask(one, "/api/v2/public/status")["result"] == {"locked": "false", "locked_indices": []}
    assert one.data("platform_state")[len(locked) :] == [
        {"price_index": name, "locked": False} for name in locked
    ]
    assert effect(one, fault) == 1


def test_beyond_the_horizon_there_is_nothing(wire: Any) -> None:
    one = wire("binance_usdm")
    one.subscribe(STREAM["binance_usdm"])
    live(one, 30)
    first = ledger_entries(one.exchange, "trade")[0]
    path, query = "/fapi/v1/aggTrades", {"symbol": "BTCUSDT", "fromId": str(first["sequence"]), "limit": "3"}
    assert ask(one, path, **query)[0]["a"] == first["sequence"]
    strike(one, fault="horizon", seconds=10)
    assert ask(one, path, **query) == []
    assert ask(one, path, symbol="BTCUSDT", limit="3")
    assert effect(one, "horizon") == 1
    klines = ask(one, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m")
    assert klines[0][0] * 1000 < one.exchange.source.now - 60_000_000, "candles reach further"

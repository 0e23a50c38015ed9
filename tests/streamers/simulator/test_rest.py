"""REST of the three: rows from what was printed, rules of ranges, weights and errors."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest


@pytest.fixture
def spot(wire: Any, start: int, minute: int) -> Any:
    one = wire("binance_spot")
    one.subscribe("btcusdt@trade", "btcusdt@aggTrade", "btcusdt@kline_1m")
    one.run(start + 3 * minute)
    return one


@pytest.fixture
def usdm(wire: Any, start: int, minute: int) -> Any:
    one = wire("binance_usdm")
    one.subscribe("btcusdt@aggTrade")
    one.run(start + 2 * minute)
    return one


@pytest.fixture
def deribit(wire: Any, start: int, minute: int) -> Any:
    one = wire("deribit")
    one.subscribe("trades.BTC-PERPETUAL.100ms", "chart.trades.BTC-PERPETUAL.1")
    one.run(start + 3 * minute)
    return one


def ask(one: Any, path: str, **query: Any) -> Any:
    answer = one.exchange.answer("GET", path, {name: str(value) for name, value in query.items()}, 0.0)
    return json.loads(answer.body) if answer.body else None


def test_ranges_of_trades_are_the_ledger(spot: Any, usdm: Any, entries: Any) -> None:
    for one, path, key, channel in (
        (spot, "/api/v3/historicalTrades", "id", "trade"),
        (spot, "/api/v3/aggTrades", "a", "aggregate_trade"),
        (usdm, "/fapi/v1/aggTrades", "a", "aggregate_trade"),
    ):
        written = [e for e in entries(one.exchange, "trade") if e["channel"] == channel]
        rows = []
        following = written[0]["sequence"]
        while page := ask(one, path, symbol="BTCUSDT", fromId=following, limit=100):
            rows += page
            following = page[-1][key] + 1
        shown = [
            (
                r[key],
                r.get("price", r.get("p")),
                r.get("qty", r.get("q")),
                r.get("time", r.get("T")) * 1000,
                "sell" if r.get("isBuyerMaker", r.get("m")) else "buy",
            )
            for r in rows
        ]
        assert shown == [
            (e["sequence"], e["price"], e["quantity"], e["event_time"], e["side"]) for e in written
        ]


def test_deribit_ranges_are_the_ledger(deribit: Any, entries: Any) -> None:
    written = [e["sequence"] for e in entries(deribit.exchange, "trade")]
    path = "/api/v2/public/get_last_trades_by_instrument"
    seen, first = [], written[0]
    while True:
        result = ask(
            deribit,
            path,
            instrument_name="BTC-PERPETUAL",
            start_seq=first,
            end_seq=written[-1],
            count=100,
            sorting="asc",
        )["result"]
        seen += [t["trade_seq"] for t in result["trades"]]
        first = seen[-1] + 1
        if not result["has_more"]:
            break
    assert seen == written
    newest = ask(deribit, path, instrument_name="BTC-PERPETUAL", count=3)["result"]
    assert [t["trade_seq"] for t in newest["trades"]] == written[:-4:-1]
    assert newest["has_more"]


def test_klines_are_the_frames_and_end_with_the_running_row(spot: Any) -> None:
    rows = ask(spot, "/api/v3/klines", symbol="BTCUSDT", interval="1m")
    closed = {data["k"]["t"]: data["k"] for data in spot.data("btcusdt@kline_1m") if data["k"]["x"]}
    by_open = {row[0]: row for row in rows}
    for open_time, k in closed.items():
        assert by_open[open_time][1:6] == [k["o"], k["h"], k["l"], k["c"], k["v"]]
        assert by_open[open_time][7:11] == [k["q"], k["n"], k["V"], k["Q"]]
    assert rows[-1][6] > spot.exchange.source.now // 1000
    assert [b[0] - a[0] for a, b in pairwise(rows)] == [60_000] * (len(rows) - 1)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, slice(None)),
        ({"limit": 5}, slice(-5, None)),
        ({"startTime": "3", "limit": 2}, slice(3, 5)),
        ({"endTime": "7", "limit": 2}, slice(6, 8)),
        ({"startTime": "3", "endTime": "6"}, slice(3, 7)),
    ],
)
def test_windows_of_klines(spot: Any, query: Any, expected: Any) -> None:
    rows = ask(spot, "/api/v3/klines", symbol="BTCUSDT", interval="1m")
    query = {name: rows[int(value)][0] if "Time" in name else value for name, value in query.items()}
    assert ask(spot, "/api/v3/klines", symbol="BTCUSDT", interval="1m", **query) == rows[expected]


def test_longer_klines_are_rolled_up(spot: Any) -> None:
    rows = ask(spot, "/api/v3/klines", symbol="BTCUSDT", interval="5m")
    minutes = ask(spot, "/api/v3/klines", symbol="BTCUSDT", interval="1m")
    inside = [m for m in minutes if rows[1][0] <= m[0] < rows[2][0]]
    assert len(inside) == 5
    assert (rows[1][1], rows[1][4], rows[1][8]) == (inside[0][1], inside[-1][4], sum(m[8] for m in inside))


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/api/v3/aggTrades", {"symbol": "NOPE"}, 400, -1121),
        ("/api/v3/aggTrades", {}, 400, -1102),
        ("/api/v3/aggTrades", {"symbol": "BTCUSDT", "limit": "x"}, 400, -1100),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, 400, -1120),
        ("/api/v3/klines", {"symbol": "BTCUSDT"}, 400, -1102),
        ("/api/v3/nothing", {}, 404, -1020),
    ],
)
def test_errors_of_binance(spot: Any, path: str, query: Any, status: int, code: int) -> None:
    answer = spot.exchange.answer("GET", path, query, 0.0)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


def test_usdm_refuses_an_hour_or_more(usdm: Any) -> None:
    answer = usdm.exchange.answer(
        "GET", "/fapi/v1/aggTrades", {"symbol": "BTCUSDT", "startTime": "0", "endTime": "3600000"}, 0.0
    )
    assert (answer.status, json.loads(answer.body)["code"]) == (400, -1127)


def test_weight_is_counted_refused_and_finally_banned(spot: Any) -> None:
    def once(now: float) -> Any:
        return spot.exchange.answer("GET", "/api/v3/exchangeInfo", {}, now)

    assert once(0.0).headers["X-MBX-USED-WEIGHT-1M"] == "20"
    for _ in range(299):
        assert once(1.0).status == 200
    refused = once(10.0)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "50")
    for _ in range(49):
        assert once(11.0).status == 429
    banned = once(12.0)
    assert (banned.status, banned.headers["Retry-After"]) == (418, "120")
    assert once(70.0).status == 418
    assert once(133.0).status == 200


def test_other_answers_have_their_form(spot: Any, usdm: Any) -> None:
    assert ask(spot, "/api/v3/ping") == {}
    assert ask(spot, "/api/v3/time") == {"serverTime": spot.exchange.source.now // 1000}
    assert ask(spot, "/sapi/v1/system/status") == {"status": 0, "msg": "normal"}
    assert len(ask(spot, "/api/v3/depth", symbol="BTCUSDT", limit=5)["bids"]) == 5
    assert len(ask(spot, "/api/v3/ticker/24hr")) == 8
    assert len(ask(spot, "/api/v3/trades", symbol="BTCUSDT", limit=7)) == 7
    info = ask(usdm, "/fapi/v1/exchangeInfo")
    dated = next(s for s in info["symbols"] if s["contractType"] != "PERPETUAL")
    assert dated["symbol"] == "BTCUSDT_261225"
    assert ask(usdm, "/fapi/v1/openInterest", symbol="BTCUSDT")["symbol"] == "BTCUSDT"
    assert ask(usdm, "/fapi/v1/premiumIndex", symbol="BTCUSDT")["nextFundingTime"] % 28_800_000 == 0
    rates = ask(usdm, "/fapi/v1/fundingRate", symbol="BTCUSDT", limit=3)
    assert [b["fundingTime"] - a["fundingTime"] for a, b in pairwise(rates)] == [28_800_000] * 2


def test_the_chart_of_deribit_has_columns_and_the_running_candle(
    deribit: Any, start: int, minute: int
) -> None:
    chart = ask(
        deribit,
        "/api/v2/public/get_tradingview_chart_data",
        instrument_name="BTC-PERPETUAL",
        resolution="1",
        start_timestamp=start // 1000,
        end_timestamp=(start + 10 * minute) // 1000,
    )["result"]
    assert chart["status"] == "ok"
    assert chart["ticks"] == [(start + place * minute) // 1000 for place in range(4)]
    last = {c["tick"]: c for c in deribit.data("chart.trades.BTC-PERPETUAL.1")}
    for place, tick in enumerate(chart["ticks"][:2]):
        assert {name: chart[name][place] for name in ("open", "high", "low", "close", "volume", "cost")} == {
            name: value for name, value in last[tick].items() if name != "tick"
        }


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("public/nothing", {}, -32601),
        ("private/buy", {}, 13009),
        ("public/ticker", {"instrument_name": "NOPE"}, 13020),
        ("public/ticker", {}, -32602),
        ("public/get_last_trades_by_instrument", {"instrument_name": "BTC-PERPETUAL", "count": "x"}, -32602),
        ("public/get_index_price", {"index_name": "x"}, -32602),
    ],
)
def test_errors_of_deribit(deribit: Any, method: str, params: Any, code: int) -> None:
    answer = deribit.exchange.answer("GET", f"/api/v2/{method}", params, 0.0)
    body = json.loads(answer.body)
    assert answer.status == 400
    assert body["error"]["code"] == code
    assert body["testnet"] is False


def test_instruments_of_deribit_by_currency_and_kind(deribit: Any) -> None:
    def names(**query: Any) -> Any:
        rows = ask(deribit, "/api/v2/public/get_instruments", **query)["result"]
        return {row["instrument_name"] for row in rows}

    assert {"BTC-PERPETUAL", "ETH-PERPETUAL", "BTC_USDC", "BTC_USDC-PERPETUAL"} <= names(currency="any")
    assert names(currency="ETH") == {"ETH-PERPETUAL"}
    assert len(names(currency="BTC", kind="option")) == 10
    assert names(currency="BTC", expired="true") == set()


def test_credits_of_deribit_over_http_run_out(deribit: Any) -> None:
    codes = [deribit.exchange.answer("GET", "/api/v2/public/get_time", {}, 0.0).status for _ in range(101)]
    assert codes == [200] * 100 + [429]
    assert deribit.exchange.answer("GET", "/api/v2/public/get_time", {}, 0.1).status == 200

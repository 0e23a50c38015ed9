"""What the three markets say: deterministic, contiguous, and candles that the trades really make."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, localcontext
from itertools import pairwise
from typing import Any

import pytest

KEYS = ("binance_spot", "binance_usdm", "deribit")
TRADES = {
    "binance_spot": ("btcusdt@trade", "ethusdt@trade", "xmrbtc@trade", "btcusdt@kline_1m", "xmrbtc@kline_1m"),
    "binance_usdm": ("btcusdt@aggTrade", "solusdt@aggTrade", "btcusdt@kline_1m", "solusdt@kline_1m"),
    "deribit": ("trades.BTC-PERPETUAL.100ms", "trades.BTC_USDC.100ms", "trades.option.BTC.100ms"),
}
EIGHT = Decimal("0.00000001")


@pytest.mark.parametrize("key", KEYS)
def test_same_seed_and_clock_give_the_same_ledger_however_time_is_cut(
    key: str, wire: Any, start: int, minute: int
) -> None:
    ledgers = []
    for step in (5_000, 1_700_000):
        one = wire(key)
        one.subscribe(*TRADES[key])
        one.exchange.source.run(start)  # both hear of the subscriptions at one moment
        one.run(start + minute * 3 // 2, step=step)
        ledgers.append(one.exchange.ledger.lines)
    assert len(ledgers[0]) > 300
    assert ledgers[0] == ledgers[1]


@pytest.mark.parametrize("key", KEYS)
def test_another_seed_is_another_market(key: str, wire: Any, start: int, minute: int) -> None:
    lines = []
    for seed in (1, 2):
        one = wire(key, seed=seed)
        one.subscribe(*TRADES[key])
        one.run(start + minute)
        lines.append(one.exchange.ledger.lines)
    assert lines[0] != lines[1]


@pytest.mark.parametrize("key", KEYS)
def test_sequences_are_contiguous_and_the_ledger_holds_what_was_delivered(
    key: str, wire: Any, entries: Any, start: int, minute: int
) -> None:
    one = wire(key)
    one.subscribe(*TRADES[key])
    one.run(start + 3 * minute)
    delivered = defaultdict(list)
    for stream in TRADES[key]:
        for data in one.data(stream):
            if stream.endswith("@trade"):
                delivered[data["s"]].append((data["t"], data["p"], data["q"], data["m"], data["T"]))
            elif stream.endswith("@aggTrade"):
                delivered[data["s"]].append((data["a"], data["p"], data["q"], data["m"], data["T"]))
            elif stream.startswith("trades."):
                for t in data:
                    sell = t["direction"] == "sell"
                    row = (t["trade_seq"], str(t["price"]), str(t["amount"]), sell, t["timestamp"])
                    delivered[t["instrument_name"]].append(row)
    written = defaultdict(list)
    for entry in entries(one.exchange, "trade"):
        written[entry["symbol"]].append(
            (
                entry["sequence"],
                entry["price"],
                entry["quantity"],
                entry["side"] == "sell",
                entry["event_time"] // 1000,
            )
        )
    assert set(delivered) == set(written)
    for symbol, rows in written.items():
        sequences = [row[0] for row in rows]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        assert [row[4] for row in rows] == sorted(row[4] for row in rows)
        comparable = [(r[0], Decimal(r[1]), Decimal(r[2]), *r[3:]) for r in rows]
        assert comparable == [(r[0], Decimal(r[1]), Decimal(r[2]), *r[3:]) for r in delivered[symbol]]


def test_spot_aggregates_follow_each_other_without_a_hole(wire: Any, start: int, minute: int) -> None:
    one = wire("binance_spot")
    one.subscribe("btcusdt@aggTrade", "btcusdt@trade")
    one.run(start + minute)
    aggregates, trades = one.data("btcusdt@aggTrade"), one.data("btcusdt@trade")
    assert all(b["f"] == a["l"] + 1 for a, b in pairwise(aggregates))
    assert any(a["l"] > a["f"] for a in aggregates)
    by_id = {t["t"]: t for t in trades}
    for a in aggregates:
        fills = [by_id[i] for i in range(a["f"], a["l"] + 1)]
        assert {(f["p"], f["m"], f["T"]) for f in fills} == {(a["p"], a["m"], a["T"])}
        assert sum(Decimal(f["q"]) for f in fills) == Decimal(a["q"])


def test_usdm_raw_ids_have_holes_and_aggregate_ids_have_none(wire: Any, start: int, minute: int) -> None:
    one = wire("binance_usdm")
    one.subscribe("btcusdt@aggTrade")
    one.run(start + 5 * minute)
    aggregates = one.data("btcusdt@aggTrade")
    assert all(b["a"] == a["a"] + 1 for a, b in pairwise(aggregates))
    steps = [b["f"] - a["l"] for a, b in pairwise(aggregates)]
    assert min(steps) == 1
    assert max(steps) > 1
    assert all(a["E"] - a["T"] <= 100 for a in aggregates)


def _binance_candle(trades: Any, previous_close: Any, quote_step: Any) -> Any:
    """An independent count of one minute; trades as (price, quantity, sell, first, last)."""
    if not trades:
        return {"o": previous_close, "v": Decimal(0), "n": 0, "q": Decimal(0), "f": -1, "L": -1}

    def cut(value: Any) -> Any:
        return value.quantize(quote_step, ROUND_DOWN)

    prices = [t[0] for t in trades]
    buys = [t for t in trades if not t[2]]
    return {
        "o": prices[0],
        "h": max(prices),
        "l": min(prices),
        "c": prices[-1],
        "v": sum(t[1] for t in trades),
        "n": sum(t[4] - t[3] + 1 for t in trades),
        "q": cut(sum(t[0] * t[1] for t in trades)),
        "V": sum((t[1] for t in buys), Decimal(0)),
        "Q": cut(sum((t[0] * t[1] for t in buys), Decimal(0))),
        "f": trades[0][3],
        "L": trades[-1][4],
    }


@pytest.mark.parametrize(
    ("key", "symbol", "kind"),
    [
        ("binance_spot", "BTCUSDT", "trade"),
        ("binance_spot", "XMRBTC", "trade"),
        ("binance_spot", "ETHUSDT", "aggTrade"),
        ("binance_usdm", "BTCUSDT", "aggTrade"),
        ("binance_usdm", "SOLUSDT", "aggTrade"),
    ],
)
def test_binance_candles_are_what_the_trades_make(
    key: str, symbol: str, kind: str, wire: Any, entries: Any, start: int, minute: int
) -> None:
    one = wire(key)
    trades, candles = f"{symbol.lower()}@{kind}", f"{symbol.lower()}@kline_1m"
    one.subscribe(trades, candles)
    one.run(start + 6 * minute)
    by_minute = defaultdict(list)
    for t in one.data(trades):
        first, last = (t["t"], t["t"]) if kind == "trade" else (t["f"], t["l"])
        row = (Decimal(t["p"]), Decimal(t["q"]), t["m"], first, last)
        by_minute[t["T"] // 60_000 * 60_000].append(row)
    closed = [k for data in one.data(candles) if (k := data["k"])["x"]]
    assert [k["t"] for k in closed] == [(start + place * minute) // 1000 for place in range(5)]
    previous = Decimal(closed[0]["c"])
    for k in closed[1:]:
        expected = _binance_candle(by_minute[k["t"]], previous, EIGHT)
        shown = {name: Decimal(k[name]) if isinstance(k[name], str) else k[name] for name in expected}
        assert shown == expected
        previous = Decimal(k["c"])
    in_ledger = entries(one.exchange, "candle")
    names = ("open", "high", "low", "close", "volume", "quote_volume", "trades")
    assert [[row[name] for name in names] for row in in_ledger if row["symbol"] == symbol] == [
        [k[name] for name in "ohlcvqn"] for k in closed[1:]
    ]


def test_silent_minutes_are_fillers(wire: Any, start: int, minute: int) -> None:
    one = wire("binance_spot")
    one.subscribe("nknusdt@kline_1m")
    one.run(start + 10 * minute)
    closed = [data["k"] for data in one.data("nknusdt@kline_1m") if data["k"]["x"]]
    silent = [k for k in closed if not k["n"]]
    assert len(closed) == 9  # the tenth is said within two seconds
    assert silent
    assert all(k["o"] == k["h"] == k["l"] == k["c"] for k in silent)
    assert all((k["v"], k["f"], k["L"]) == ("0.00000000", -1, -1) for k in silent)


def test_final_candles_come_shortly_after_the_minute(wire: Any, start: int, minute: int) -> None:
    for key, late in (("binance_spot", 2_000), ("binance_usdm", 300)):
        one = wire(key)
        one.subscribe("btcusdt@kline_1m")
        one.run(start + 3 * minute)
        events = one.data("btcusdt@kline_1m")
        delays = [data["E"] - data["k"]["T"] for data in events if data["k"]["x"]]
        assert delays
        assert all(0 < delay <= late for delay in delays)
        gaps = [b["E"] - a["E"] for a, b in pairwise(events) if a["E"] != b["E"]]
        assert min(gaps) >= (2_000 if key == "binance_spot" else 250)


def test_deribit_candles_are_what_the_trades_make(wire: Any, entries: Any, start: int, minute: int) -> None:
    one = wire("deribit")
    symbols = ("BTC-PERPETUAL", "ETH-PERPETUAL", "BTC_USDC-PERPETUAL")
    one.subscribe(*(f"trades.{s}.100ms" for s in symbols), *(f"chart.trades.{s}.1" for s in symbols))
    one.run(start + 6 * minute)
    trades = defaultdict(list)
    for symbol in symbols:
        for batch in one.data(f"trades.{symbol}.100ms"):
            for t in batch:
                price, amount = Decimal(str(t["price"])), Decimal(str(t["amount"]))
                trades[symbol, t["timestamp"] // 60_000 * 60_000].append((price, amount))
    checked = 0
    for row in entries(one.exchange, "candle"):
        rows = trades[row["symbol"], row["open_time"] // 1000]
        if not rows:
            assert Decimal(row["volume"]) == 0
            continue
        with localcontext(prec=50):
            if row["symbol"].startswith("BTC_"):
                volume, cost = sum(a for _, a in rows), sum(p * a for p, a in rows)
            else:
                volume, cost = sum(a / p for p, a in rows), sum(a for _, a in rows)
            assert Decimal(row["volume"]) == volume.quantize(EIGHT, ROUND_HALF_EVEN)
            assert Decimal(row["quote_volume"]) == cost
        prices = [p for p, _ in rows]
        assert [Decimal(row[n]) for n in ("open", "high", "low", "close")] == [
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        ]
        said = [
            c for c in one.data(f"chart.trades.{row['symbol']}.1") if c["tick"] == row["open_time"] // 1000
        ]
        assert Decimal(str(said[-1]["volume"])) == Decimal(row["volume"])
        checked += 1
    assert checked >= 10


def test_deribit_flags_what_is_special(wire: Any, start: int, minute: int) -> None:
    one = wire("deribit")
    one.subscribe("trades.any.any.100ms")
    one.run(start + 20 * minute, step=1_000_000)
    trades = [t for batch in one.data("trades.any.any.100ms") for t in batch]
    assert any("liquidation" in t for t in trades)
    assert any("block_trade_id" in t for t in trades)
    assert any("combo_id" in t for t in trades)
    assert all("iv" in t for t in trades if t["instrument_name"].endswith(("-C", "-P")))
    ids = [int(t["trade_id"].rpartition("-")[2]) for t in trades if t["trade_id"].isdigit()]
    assert len(set(ids)) == len(ids)


def test_quotes_never_cross(wire: Any, start: int, minute: int) -> None:
    one = wire("binance_spot")
    one.subscribe("btcusdt@bookTicker", "solusdt@bookTicker")
    one.run(start + minute)
    quotes = one.data("btcusdt@bookTicker") + one.data("solusdt@bookTicker")
    assert len(quotes) > 300
    assert all(Decimal(q["b"]) < Decimal(q["a"]) for q in quotes)


def test_usdm_marks_funding_and_liquidations(wire: Any, start: int, minute: int) -> None:
    one = wire("binance_usdm")
    one.subscribe("btcusdt@markPrice@1s", "btcusdt_261225@markPrice@1s", "!forceOrder@arr")
    one.run(start + 10 * minute, step=1_000_000)
    marks = one.data("btcusdt@markPrice@1s")
    assert [m["E"] for m in marks] == [start // 1000 + 1000 * n for n in range(1, 601)]
    assert all(m["T"] % (8 * 3_600_000) == 0 and m["T"] > m["E"] for m in marks)
    assert {(m["r"], m["T"]) for m in one.data("btcusdt_261225@markPrice@1s")} == {("", 0)}
    forced = [(o["o"]["s"], o["E"] // 1000) for o in one.data("!forceOrder@arr")]
    assert forced
    assert len(set(forced)) == len(forced)


def test_options_tell_greeks_and_sometimes_an_empty_side(wire: Any, start: int, minute: int) -> None:
    one = wire("deribit")
    names = [s for s in one.exchange.source.instruments() if s.endswith("-C")]
    one.subscribe(*(f"ticker.{name}.100ms" for name in names), "deribit_volatility_index.btc_usd")
    one.run(start + minute)
    tickers = [t for name in names for t in one.data(f"ticker.{name}.100ms")]
    assert {"delta", "gamma", "rho", "theta", "vega"} == set(tickers[0]["greeks"])
    assert all(0 <= t["greeks"]["delta"] <= 1 and t["mark_iv"] > 0 for t in tickers)
    assert any(t["best_bid_price"] is None for t in tickers)
    assert any(t["best_bid_price"] is not None for t in tickers)
    assert len(one.data("deribit_volatility_index.btc_usd")) == 59


def test_a_symbol_enters_the_ledger_with_its_first_trade_subscription(
    wire: Any, entries: Any, start: int, minute: int
) -> None:
    one = wire("binance_spot")
    one.subscribe("btcusdt@bookTicker", "btcusdt@kline_1m")
    one.run(start + minute // 2)
    assert not one.exchange.ledger.lines
    one.subscribe("btcusdt@trade")
    one.run(start + 3 * minute)
    assert min(entry["event_time"] for entry in entries(one.exchange, "trade")) >= start + minute // 2
    opens = [entry["open_time"] for entry in entries(one.exchange, "candle")]
    assert opens == [start + minute]  # the minute of the subscription is not whole


def test_many_trades_share_a_millisecond(wire: Any, start: int, minute: int) -> None:
    one = wire("binance_spot")
    one.subscribe("btcusdt@trade", "ethusdt@trade")
    one.run(start + 3 * minute, step=1_000_000)
    times = defaultdict(int)
    for data in one.data("btcusdt@trade") + one.data("ethusdt@trade"):
        times[data["s"], data["T"]] += 1
    assert max(times.values()) >= 30


def test_every_text_is_json_with_utf8_names(wire: Any, start: int, minute: int) -> None:
    one = wire("binance_spot", url="/stream?streams=币安人生usdt@trade/币安人生usdt@kline_1m")
    one.run(start + 3 * minute, step=1_000_000)
    assert one.data("币安人生usdt@trade")[0]["s"] == "币安人生USDT"
    assert json.dumps(one.heard)

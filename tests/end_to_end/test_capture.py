"""Sessions that were really recorded go through the whole pipeline; what is expected comes from the file.

The expected trades and candles are taken from the recorded frames by code that imports nothing of ours.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Platform

MINUTE = 60_000

SESSIONS = [
    ("binance_spot", "2024-08-09_ethusdt_trade_depth_bookticker", "trade", 14_515, "60"),
    ("binance_usdm", "2021-04-17_four_symbols_aggtrade_kline_depth", "aggTrade", 185, "20"),
    ("binance_spot", "2021-08-14_minute_crossing_aggtrade_kline_depth", "aggTrade", 28, "20"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("exchange", "session", "event", "count", "speed"), SESSIONS)
def test_a_recorded_session_is_stored_whole_and_its_candles_are_those_of_the_file(
    platform: Platform, captures: Path, exchange: str, session: str, event: str, count: int, speed: str
) -> None:
    path = captures / exchange / f"{session}.jsonl.gz"
    frames = recorded(path)
    expected = trades_of(frames, event)
    assert sum(len(trades) for trades in expected.values()) == count

    replay = platform.run("up", "--capture", str(path), "--speed", speed)
    assert replay.returncode == 0, replay.stdout + replay.stderr + platform.logs()

    with psycopg.connect(platform.database_url) as connection:
        assert stored_trades(connection, exchange) == expected
        ours = stored_candles(connection, exchange, "trade")
        theirs = stored_candles(connection, exchange, "exchange")
    for (symbol, minute), candle in whole_minutes(expected, event).items():
        assert ours[symbol, minute]["complete"], (symbol, minute)
        assert {name: ours[symbol, minute][name] for name in candle} == candle
    closed = closed_klines(frames)
    assert theirs == closed, "a closed kline is stored as the exchange sent it, every field"


def recorded(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [json.loads(row["text"])["data"] for row in rows if row["dir"] == "in"]


def trades_of(frames: list[dict[str, Any]], event: str) -> dict[str, list[tuple[Any, ...]]]:
    """Per symbol: (sequence, price, quantity, taker's side, trade time ms, first id, last id) in order."""
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for frame in frames:
        if frame.get("e") == event:
            number = frame["t"] if event == "trade" else frame["a"]
            first, last = (number, number) if event == "trade" else (frame["f"], frame["l"])
            side = "sell" if frame["m"] else "buy"
            row = (number, Decimal(frame["p"]), Decimal(frame["q"]), side, frame["T"], first, last)
            found[frame["s"]].append(row)
    return dict(found)


def stored_trades(connection: psycopg.Connection, exchange: str) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for symbol, *row in connection.execute(
        """select symbol, sequence, price, quantity, side::text,
                  (extract(epoch from event_time) * 1000)::bigint, first_id, last_id
           from trade join instrument using (instrument_id) where exchange = %s order by symbol, sequence""",
        (exchange,),
    ):
        found[symbol].append(tuple(row))
    return dict(found)


def whole_minutes(
    trades: dict[str, list[tuple[Any, ...]]], event: str
) -> dict[tuple[str, int], dict[str, Any]]:
    """Minutes with trades on both sides of them in the session: nothing of them can lie outside it."""
    found = {}
    for symbol, rows in trades.items():
        first, last = rows[0][4] // MINUTE * MINUTE, rows[-1][4] // MINUTE * MINUTE
        buckets: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows:
            buckets[row[4] // MINUTE * MINUTE].append(row)
        for minute, bucket in buckets.items():
            if first < minute < last:
                found[symbol, minute] = candle_of(bucket)
    return found


def candle_of(bucket: list[tuple[Any, ...]]) -> dict[str, Any]:
    prices = [row[1] for row in bucket]
    bought = [row for row in bucket if row[3] == "buy"]
    return {
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "close": prices[-1],
        "volume": sum(row[2] for row in bucket),
        "quote_volume": sum(row[1] * row[2] for row in bucket),
        "trades": sum(row[6] - row[5] + 1 for row in bucket),
        "taker_buy_volume": sum((row[2] for row in bought), Decimal(0)),
        "taker_buy_quote_volume": sum((row[1] * row[2] for row in bought), Decimal(0)),
        "first_id": bucket[0][5],
        "last_id": bucket[-1][6],
    }


def closed_klines(frames: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (frame["s"], frame["k"]["t"]): {
            "open": Decimal(frame["k"]["o"]),
            "high": Decimal(frame["k"]["h"]),
            "low": Decimal(frame["k"]["l"]),
            "close": Decimal(frame["k"]["c"]),
            "volume": Decimal(frame["k"]["v"]),
            "quote_volume": Decimal(frame["k"]["q"]),
            "trades": frame["k"]["n"],
            "taker_buy_volume": Decimal(frame["k"]["V"]),
            "taker_buy_quote_volume": Decimal(frame["k"]["Q"]),
            "first_id": frame["k"]["f"] if frame["k"]["n"] else None,
            "last_id": frame["k"]["L"] if frame["k"]["n"] else None,
            "complete": True,
        }
        for frame in frames
        if frame.get("e") == "kline" and frame["k"]["x"]
    }


def stored_candles(
    connection: psycopg.Connection, exchange: str, source: str
) -> dict[tuple[str, int], dict[str, Any]]:
    names = (
        "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume",
        "taker_buy_quote_volume", "first_id", "last_id", "complete",
    )  # fmt: skip
    rows = connection.execute(
        f"""select symbol, (extract(epoch from open_time) * 1000)::bigint, {", ".join(names)}
            from candle join instrument using (instrument_id) where exchange = %s and source = %s""",
        (exchange, source),
    )
    return {(symbol, minute): dict(zip(names, values, strict=True)) for symbol, minute, *values in rows}

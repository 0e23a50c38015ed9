"""Files of the archive: in the format of the real one, agreeing with their checksums and with the ledger."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.streamers.simulator.conftest import ledger_entries

FOLDER = {"binance_spot": "spot", "binance_usdm": "futures/um"}
STREAM = {"binance_spot": "btcusdt@aggTrade", "binance_usdm": "btcusdt@aggTrade"}


def path_of(key: str, kind: str, day: str, symbol: str = "BTCUSDT") -> str:
    name, more = ("1m", "1m/") if kind == "klines" else (kind, "")
    return f"/archive/data/{FOLDER[key]}/daily/{kind}/{symbol}/{more}{symbol}-{name}-{day}.zip"


def table(data: bytes) -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        (name,) = file.namelist()
        assert name.endswith(".csv")
        return list(csv.reader(io.StringIO(file.read(name).decode())))


@pytest.fixture(params=sorted(FOLDER))
def one(wire: Any, request: pytest.FixtureRequest) -> Any:
    one = wire(request.param)
    one.subscribe(STREAM[request.param])
    one.run(one.exchange.source.now + 130_000_000)
    return one


def today(one: Any) -> str:
    return f"{datetime.fromtimestamp(one.exchange.source.now / 1e6, UTC):%Y-%m-%d}"


def test_aggregates_are_those_of_the_ledger(one: Any) -> None:
    key = one.exchange.key
    rows = table(one.exchange.archive.answer(path_of(key, "aggTrades", today(one)), 0.0))
    if key == "binance_usdm":
        assert rows.pop(0)[0] == "agg_trade_id"
    scale = 1 if key == "binance_spot" else 1000
    shown = {int(row[0]): (row[1], row[2], int(row[5]) * scale, row[6].lower() == "true") for row in rows}
    for entry in ledger_entries(one.exchange, "trade"):
        expected = (entry["price"], entry["quantity"], entry["event_time"], entry["side"] == "sell")
        assert shown[entry["sequence"]] == expected
    assert len(rows[0]) == (8 if key == "binance_spot" else 7)


def test_trades_and_closed_candles(one: Any) -> None:
    key, header = one.exchange.key, one.exchange.key == "binance_usdm"
    trades = table(one.exchange.archive.answer(path_of(key, "trades", today(one)), 0.0))[header:]
    numbers = [int(row[0]) for row in trades]
    assert numbers == sorted(numbers)
    candles = table(one.exchange.archive.answer(path_of(key, "klines", today(one)), 0.0))[header:]
    scale = 1 if key == "binance_spot" else 1000
    opens = {int(row[0]) * scale: row for row in candles}
    written = ledger_entries(one.exchange, "candle")
    assert written
    for entry in written:
        row = opens[entry["open_time"]]
        assert (row[1], row[5], row[8]) == (entry["open"], entry["volume"], str(entry["trades"]))
        assert (int(row[6]) + 1) * scale == entry["open_time"] + 60_000_000
    assert max(opens) + 60_000_000 <= one.exchange.source.now


def test_a_checksum_agrees_with_its_file_though_the_day_goes_on(one: Any) -> None:
    archive, path = one.exchange.archive, path_of(one.exchange.key, "aggTrades", today(one))
    data = archive.answer(path, 0.0)
    one.run(one.exchange.source.now + 20_000_000)
    said = archive.answer(path + ".CHECKSUM", 5.0).decode().split()
    assert said == [hashlib.sha256(data).hexdigest(), path.rpartition("/")[2]]
    later = archive.answer(path, 60.0)
    assert len(table(later)) > len(table(data))


@pytest.mark.parametrize("day", ["2020-01-01", "2026-13-45"])
def test_what_is_not_there(one: Any, day: str) -> None:
    key, archive = one.exchange.key, one.exchange.archive
    other = "binance_usdm" if key == "binance_spot" else "binance_spot"
    assert archive.answer(path_of(key, "trades", day), 0.0) is None
    assert archive.answer(path_of(key, "trades", today(one), "NOSUCH"), 0.0) is None
    assert archive.answer(path_of(other, "trades", today(one)), 0.0) is None
    assert archive.answer("/archive/data/spot/monthly/trades/BTCUSDT/x.zip", 0.0) is None

from pathlib import Path

import pytest

from trade_platform.adapters.ledger import (
    LedgerCandle,
    LedgerTrade,
    LedgerUnreadable,
    latest_market_time,
    ledgers,
    read_ledger,
)

TRADE = (
    b'{"kind":"trade","symbol":"BTCUSDT","channel":"trade","sequence":7,"price":"1.50","quantity":"2",'
    b'"side":"buy","event_time":1700000000000000,"first_id":7,"last_id":7}\n'
)
CANDLE = (
    b'{"kind":"candle","symbol":"BTCUSDT","open_time":1700000040000000,"open":"1","high":"2","low":"1",'
    b'"close":"2","volume":"3","quote_volume":"4","trades":null,"taker_buy_volume":null,'
    b'"taker_buy_quote_volume":null,"first_id":null,"last_id":null}\n'
)


def written(folder: Path, content: bytes, exchange: str = "binance_spot") -> Path:
    path = folder / "ledger" / f"{exchange}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_trades_and_candles_are_read_in_order(tmp_path: Path) -> None:
    rows = list(read_ledger(written(tmp_path, TRADE + CANDLE)))
    assert isinstance(rows[0], LedgerTrade)
    assert (rows[0].sequence, rows[0].price) == (7, "1.50")
    assert isinstance(rows[1], LedgerCandle)
    assert rows[1].trades is None


def test_a_torn_last_line_was_never_sent(tmp_path: Path) -> None:
    assert len(list(read_ledger(written(tmp_path, TRADE + TRADE[:40])))) == 1


def test_a_foreign_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = written(tmp_path, TRADE + b'{"kind":"order"}\n')
    with pytest.raises(LedgerUnreadable, match=r"binance_spot\.jsonl line 2"):
        list(read_ledger(path))


def test_ledgers_are_found_by_exchange(tmp_path: Path) -> None:
    written(tmp_path, b"", "deribit")
    written(tmp_path, b"", "binance_spot")
    assert [path.stem for path in ledgers(tmp_path)] == ["binance_spot", "deribit"]


def test_the_newest_market_time_is_that_of_the_last_whole_line(tmp_path: Path) -> None:
    assert latest_market_time(tmp_path) is None
    written(tmp_path, TRADE)
    assert latest_market_time(tmp_path) == 1_700_000_000_000_000
    written(tmp_path, TRADE + CANDLE + TRADE[:30], "deribit")
    assert latest_market_time(tmp_path) == 1_700_000_100_000_000

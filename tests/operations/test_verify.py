"""Every way in which a table can differ from a ledger must be found and named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from trade_platform.adapters.database.proof import CandlePair
from trade_platform.adapters.ledger import LedgerCandle
from trade_platform.operations.verify import Verification, differences, verify

MINUTE = 60_000_000
T0 = 1_700_000_040_000_000  # 2023-11-14 22:14:00 UTC, a whole minute


def ledger_trade(sequence: int, **changes: object) -> dict[str, object]:
    return {
        "kind": "trade",
        "symbol": "BTCUSDT",
        "channel": "trade",
        "sequence": sequence,
        "price": "100.10",
        "quantity": "0.5",
        "side": "buy",
        "event_time": T0 + sequence * 10_000_000,
        "first_id": sequence,
        "last_id": sequence,
        **changes,
    }


LEDGER = [ledger_trade(0, event_time=T0 - 1), *(ledger_trade(number) for number in range(1, 13))]
CANDLE = {
    "kind": "candle",
    "symbol": "BTCUSDT",
    "open_time": T0,
    "open": "100.10",
    "high": "100.10",
    "low": "100.10",
    "close": "100.10",
    "volume": "2.5",
    "quote_volume": "250.25000000",
    "trades": 5,
    "taker_buy_volume": "2.5",
    "taker_buy_quote_volume": "250.25",
    "first_id": 1,
    "last_id": 5,
}


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A database that holds exactly what the ledger says."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "insert into instrument (exchange, symbol, kind) values ('binance_spot', 'BTCUSDT', 'spot')"
        )
        connection.execute(
            "create table trade_20231114 partition of trade for values from ('2023-11-14') to ('2023-11-15')"
        )
        for row in LEDGER:
            insert(connection, row)
        connection.execute(
            """insert into coverage (instrument_id, channel, day, held)
               select instrument_id, 'trade', '2023-11-14', '{[0,13)}' from instrument"""
        )
        connection.execute(
            """insert into candle (instrument_id, interval, open_time, source, open, high, low, close,
                   volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume, first_id, last_id,
                   complete, receive_time)
               select instrument_id, '1m', '2023-11-14 22:14+00', 'trade', 100.1, 100.1, 100.1, 100.1,
                      2.5, 250.25, 5, 2.5, 250.25, 1, 5, true, now() from instrument"""
        )
        yield connection


def insert(connection: psycopg.Connection, row: dict[str, object]) -> None:
    connection.execute(
        """insert into trade (instrument_id, event_time, sequence, price, quantity, side, first_id, last_id,
                              flags, receive_time)
           select instrument_id, to_timestamp(%(event_time)s / 1e6), %(sequence)s, %(price)s::numeric,
                  %(quantity)s::numeric, %(side)s::side, %(first_id)s, %(last_id)s, 0, now()
           from instrument""",
        row,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path, [*LEDGER, CANDLE])


def written(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "ledger" / "binance_spot.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def wrongs(verification: Verification) -> list[tuple[str, str]]:
    return [(finding.what, finding.detail.split(":")[0]) for finding in verification.findings]


def test_what_equals_the_ledger_is_good(connection: psycopg.Connection, folder: Path) -> None:
    verification = verify(connection, folder)
    assert verification.good
    (one,) = verification.instruments
    assert (one.trades.expected, one.trades.rows, one.trades.missing, one.trades.duplicated) == (13, 13, 0, 0)
    assert (one.candles, one.candles_with_trades, one.candles_different) == (1, 1, 0)


def test_a_deleted_row_is_named(connection: psycopg.Connection, folder: Path) -> None:
    connection.execute("delete from trade where sequence = 7")
    verification = verify(connection, folder)
    assert not verification.good
    assert wrongs(verification) == [("missing", "sequence 7")]
    assert verification.instruments[0].trades.missing == 1


@pytest.mark.parametrize(
    "change",
    [
        "price = 100.11",
        "quantity = 0.6",
        "side = 'sell'",
        "last_id = 9",
        "event_time = event_time + interval '1 microsecond'",
    ],
)
def test_an_altered_row_is_named(connection: psycopg.Connection, folder: Path, change: str) -> None:
    connection.execute(f"update trade set {change} where sequence = 4")
    verification = verify(connection, folder)
    assert not verification.good
    assert wrongs(verification) == [("altered", "sequence 4")]


def test_the_same_trade_under_two_times_is_a_duplicate(connection: psycopg.Connection, folder: Path) -> None:
    insert(connection, ledger_trade(4, event_time=T0 + 40_000_001))
    verification = verify(connection, folder)
    assert not verification.good
    assert ("duplicated", "sequence 4") in wrongs(verification)
    assert verification.instruments[0].trades.rows == 14


def test_a_row_that_nobody_emitted_is_named(connection: psycopg.Connection, tmp_path: Path) -> None:
    folder = written(tmp_path, [row for row in LEDGER if row["sequence"] != 6])
    assert wrongs(verify(connection, folder)) == [("extra", "sequence 6")]


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume", "quote_volume", "trades"])
def test_an_altered_candle_is_named_with_both_values(
    connection: psycopg.Connection, folder: Path, field: str
) -> None:
    connection.execute(f"update candle set {field} = {field} + 1")
    verification = verify(connection, folder)
    assert not verification.good
    (finding,) = verification.findings
    assert finding.what == "candle"
    assert f"{field} held" in finding.detail


def test_the_exchange_s_own_candle_must_be_stored_as_it_was_sent(
    connection: psycopg.Connection, folder: Path
) -> None:
    names = "open, high, low, close, volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume"
    connection.execute(
        f"""insert into candle (instrument_id, interval, open_time, source, complete, receive_time, {names})
            select instrument_id, interval, open_time, 'exchange', true, receive_time, {names} from candle"""
    )
    assert verify(connection, folder).good
    connection.execute("update candle set volume = volume + 0.00000001 where source = 'exchange'")
    verification = verify(connection, folder)
    assert not verification.good
    assert [finding.what for finding in verification.findings] == ["exchange candle"]


@pytest.mark.parametrize("loss", ["delete from candle", "update candle set complete = false"])
def test_a_closed_minute_without_a_complete_candle_is_missing(
    connection: psycopg.Connection, folder: Path, loss: str
) -> None:
    connection.execute(loss)
    verification = verify(connection, folder)
    assert not verification.good
    assert verification.instruments[0].candles_missing == 1


def test_a_minute_after_the_last_trade_need_not_be_proven_yet(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    later = {**CANDLE, "open_time": T0 + 2 * MINUTE, "volume": "0", "trades": 0}
    assert verify(connection, written(tmp_path, [*LEDGER, CANDLE, later])).good


def test_a_minute_before_the_first_trade_cannot_be_proven(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    """Nothing is held before it: whether a trade lies between cannot be known."""
    earlier = {**CANDLE, "open_time": T0 - 2 * MINUTE, "volume": "0", "trades": 0}
    assert verify(connection, written(tmp_path, [*LEDGER, CANDLE, earlier])).good


def test_what_is_older_than_the_ledger_is_held_against_its_coverage(
    connection: psycopg.Connection, folder: Path
) -> None:
    """Days that were read from the exchange's past stand in no ledger: they are no surplus."""
    for number in (-30, -29, -28):
        insert(connection, ledger_trade(number, event_time=T0 - 3600_000_000 + number))
    verification = verify(connection, folder)
    assert wrongs(verification) == [("extra", "before the ledger begins")]
    connection.execute("update coverage set held = held + '{[-30,-27)}'")
    verification = verify(connection, folder)
    assert verification.good
    assert (verification.instruments[0].trades.expected, verification.instruments[0].trades.rows) == (16, 16)
    connection.execute("delete from trade where sequence = -29")
    verification = verify(connection, folder)
    assert wrongs(verification) == [("missing", "before the ledger begins")]
    assert verification.instruments[0].trades.missing == 1


def test_an_instrument_that_was_read_from_the_past_alone_is_proven_too(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    other = [{**row, "symbol": "ETHUSDT"} for row in LEDGER]
    connection.execute(
        "insert into instrument (exchange, symbol, kind) values ('deribit', 'BTC-PERPETUAL', 'perpetual')"
    )
    verification = verify(connection, written(tmp_path, other))
    found = {one.trades.symbol: one.trades for one in verification.instruments}
    assert (found["BTCUSDT"].expected, found["BTCUSDT"].rows, found["BTCUSDT"].missing) == (13, 13, 0)
    assert (found["ETHUSDT"].expected, found["ETHUSDT"].rows, found["ETHUSDT"].missing) == (13, 0, 13)
    assert "BTC-PERPETUAL" not in found


def test_without_a_ledger_rows_are_held_against_coverage(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    verification = verify(connection, tmp_path)
    assert verification.good
    assert verification.against == "coverage"
    connection.execute("update coverage set held = '{[0,5),[8,13)}'")
    verification = verify(connection, tmp_path)
    assert not verification.good
    assert verification.instruments[0].trades.missing == 3


def test_an_empty_database_proves_nothing(postgres_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert not verify(connection, tmp_path).good


def pair(**ours: str) -> CandlePair:
    values = {
        "open": "1", "high": "1", "low": "1", "close": "1", "volume": "3", "quote_volume": "2.123456789",
        "trades": "1", "taker_buy_volume": "1", "taker_buy_quote_volume": "1", **ours,
    }  # fmt: skip
    ledger = LedgerCandle(
        symbol="X", open_time=0, open="1", high="1", low="1", close="1", volume="3",
        quote_volume="2.12345678", trades=1, taker_buy_volume="1", taker_buy_quote_volume="1",
    )  # fmt: skip
    return CandlePair(
        ledger=ledger, ours=tuple(Decimal(value) for value in values.values()), theirs=None, due=True
    )


def test_binance_truncates_sums_and_that_alone_is_allowed() -> None:
    assert differences("binance_spot", pair()) == []
    assert differences("binance_spot", pair(quote_volume="2.123456770")) != []
    assert differences("binance_spot", pair(quote_volume="2.123456780")) == []
    assert differences("binance_spot", pair(close="1.00000001")) != []


def test_deribit_may_differ_by_one_unit_of_the_last_decimal_in_volumes_only() -> None:
    assert differences("deribit", pair(volume="3.00000001")) == []
    assert differences("deribit", pair(volume="3.00000002")) != []
    assert differences("deribit", pair(high="1.00000001")) != []

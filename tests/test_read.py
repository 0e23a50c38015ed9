"""What other programs import."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pytest

from tests.processors.feeding import NOON, kline, trade
from tests.recorded import HOUR_ONE, every, record
from trade_platform import read
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.domain.model import MINUTE, Side


def table(connection: Connection, columns: str) -> list[tuple[object, ...]]:
    return connection.execute(f"SELECT {columns} FROM trade ORDER BY event_time, sequence").fetchall()


def test_trades_are_the_table_s_to_the_last_digit(connection: Connection, postgres_url: str) -> None:
    odd = trade(
        2,
        NOON + 1,
        price=Decimal("0.123456789012345678"),
        side=Side.SELL,
        trade_id="ETH-1",
        iv=Decimal("51.2"),
    )
    record(connection, [trade(1), odd, trade(3, NOON + 1, quantity=Decimal("12345678.00000001"))])
    found = read.trades("BTCUSDT", url=postgres_url)
    rows = [
        tuple(None if value is pd.NA or value is None or value != value else value for value in row)  # noqa: PLR0124
        for row in found.reset_index().itertuples(index=False)
    ]
    assert rows == table(connection, ", ".join(["event_time", *found.columns]))
    assert found.index.tz is UTC or str(found.index.tz) == "UTC"
    assert found.attrs["exchange"] == "binance_spot"


def test_a_range_is_half_open(connection: Connection) -> None:
    record(connection, every(1, NOON, NOON + 10_000_000))
    found = read.trades(
        "BTCUSDT", start=moment(NOON + 2_000_000), end=moment(NOON + 5_000_000), url=connection
    )
    assert found["sequence"].tolist() == [3, 4, 5]


def test_without_a_start_it_is_the_day_before_the_newest(connection: Connection) -> None:
    day = 24 * 60 * MINUTE
    record(connection, [trade(1, NOON - 2 * day), trade(2, NOON - day + 1), trade(3, NOON)])
    assert read.trades("BTCUSDT", url=connection)["sequence"].tolist() == [2, 3]
    assert read.trades("BTCUSDT", start="2026-01-01", url=connection)["sequence"].tolist() == [1, 2, 3]


def test_parts_are_the_whole(connection: Connection) -> None:
    record(connection, every(0.1, NOON, NOON + 60_000_000))
    parts = list(read.trades_in_parts("BTCUSDT", url=connection, part=10_000))
    assert len(parts) > 3
    whole = read.trades("BTCUSDT", url=connection)
    assert [n for part in parts for n in part["sequence"]] == whole["sequence"].tolist()
    assert max(map(len, parts)) < len(whole) / 2


def test_candles_are_ours_and_elsewhere_the_exchange_s(connection: Connection) -> None:
    """Ours of two minutes, the exchange's of the second and a third."""
    record(connection, every(20, NOON, NOON + 2 * MINUTE))
    record(connection, [kline(NOON + MINUTE, close=Decimal(7)), kline(NOON + 2 * MINUTE)])
    found = read.candles("BTCUSDT", url=connection)
    assert found["source"].tolist() == ["trade", "trade", "exchange"]
    assert found["volume"].tolist() == [Decimal("0.75"), Decimal("0.75"), Decimal("0.25")]
    theirs = read.candles("BTCUSDT", source="exchange", url=connection)
    assert theirs["close"].tolist() == [Decimal(7), Decimal("100.5")]
    assert len(read.candles("BTCUSDT", last=2, url=connection)) == 2
    assert read.candles("BTCUSDT", last=2, url=connection).index.tolist() == found.index.tolist()[1:]


def test_complete_only_takes_the_exchange_s_where_ours_is_not_proven(connection: Connection) -> None:
    """Number 3 is missing at the end of the first minute; the last minute has no trade behind it."""
    record(connection, every(20, NOON, NOON + 3 * MINUTE, missing=[3]))
    everything = read.candles("BTCUSDT", url=connection)
    assert everything["complete"].tolist() == [False, False, False]
    record(connection, [kline(NOON, trades=3)])
    found = read.candles("BTCUSDT", complete_only=True, url=connection)
    assert found["source"].tolist() == ["exchange"]


def test_a_frame_does_what_an_analyst_expects(connection: Connection) -> None:
    record(connection, every(1, HOUR_ONE, HOUR_ONE + 10 * MINUTE))
    found = read.candles("BTCUSDT", url=connection)
    five = found["volume"].resample("5min").sum()
    assert five.tolist() == [Decimal(75), Decimal(75)]
    assert (found["quote_volume"] / found["volume"]).tolist()[0] == Decimal("100.5")
    trades = read.trades("BTCUSDT", url=connection, floats=True)
    assert trades["price"].resample("1min").ohlc()["open"].tolist() == [100.5] * 10


def test_an_unknown_symbol_is_answered_with_those_like_it(connection: Connection) -> None:
    with pytest.raises(read.UnknownSymbol, match="Nothing is recorded here yet"):
        read.candles("BTCUSDT", url=connection)
    record(connection, [trade(1), trade(1, symbol="ETHUSDT"), trade(1, symbol="BTCUSDC")])
    with pytest.raises(read.UnknownSymbol, match=r"did you mean BTCUSDT \(binance_spot\)\?"):
        read.candles("btcusdt", url=connection)
    with pytest.raises(read.UnknownSymbol, match=r"mean BTCUSDT \(binance_spot\) or BTCUSDC"):
        read.candles("BTCUSD", url=connection)
    with pytest.raises(read.UnknownSymbol, match="trade-platform instruments"):
        read.trades("XYZ123", url=connection)
    with pytest.raises(read.UnknownSymbol, match="exchange kraken: there is binance_spot"):
        read.trades("BTCUSDT", exchange="kraken", url=connection)


def test_a_symbol_of_two_exchanges_needs_to_be_told_which(connection: Connection) -> None:
    record(connection, [trade(1)])
    record(connection, [trade(9, quantity=Decimal(3), flags=1)], exchange="binance_usdm")
    with pytest.raises(read.AmbiguousSymbol, match="binance_spot or binance_usdm"):
        read.trades("BTCUSDT", url=connection)
    assert read.trades("BTCUSDT", exchange="binance_usdm", url=connection)["sequence"].tolist() == [9]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"interval": "7m"}, "choose 1m, 5m, 15m, 1h, 4h or 1d"),
        ({"source": "rumour"}, "choose trade or exchange"),
        ({"start": "yesterday"}, "no moment"),
        ({"start": datetime(2026, 11, 22)}, "no time zone"),  # noqa: DTZ001 - that is what is refused
    ],
)
def test_what_cannot_be_meant_is_said_in_a_sentence(
    connection: Connection, given: dict[str, object], words: str
) -> None:
    record(connection, [trade(1)])
    with pytest.raises(read.ReadError, match=words):
        read.candles("BTCUSDT", url=connection, **given)


@pytest.mark.parametrize(
    "start", ["2026-09-22", "2026-09-22T00:00+00:00", date(2026, 9, 22), datetime(2026, 9, 22, tzinfo=UTC)]
)
def test_days_and_texts_without_a_zone_are_utc(connection: Connection, start: read.Moment) -> None:
    midnight = round(datetime(2026, 9, 22, tzinfo=UTC).timestamp()) * 1_000_000
    record(connection, [trade(1, midnight - 1), trade(2, midnight)])
    assert read.trades("BTCUSDT", start=start, url=connection)["sequence"].tolist() == [2]


def test_a_stranger_s_session_settings_do_not_change_what_is_read(connection: Connection) -> None:
    record(connection, [trade(1)])
    before = read.trades("BTCUSDT", url=connection)
    connection.execute("SET timezone TO 'Asia/Kathmandu'")
    assert read.trades("BTCUSDT", url=connection).equals(before)
    row = connection.execute("SHOW timezone").fetchone()
    assert row == ("Asia/Kathmandu",), "and it is theirs again"


def test_a_database_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    with pytest.raises(read.ReadError, match="make demo"):
        read.candles("BTCUSDT")


def test_coverage_names_each_partition_and_hour(connection: Connection) -> None:
    record(connection, every(10, HOUR_ONE, HOUR_ONE + 3 * 60 * MINUTE, missing=[400]))
    found = read.coverage(hours=3, now=moment(HOUR_ONE + 3 * 60 * MINUTE - 1), url=connection)
    assert found.columns.tolist() == [moment(HOUR_ONE + n * 60 * MINUTE) for n in range(3)]
    assert found.index.tolist() == ["binance_spot/BTCUSDT"]
    first, second, _ = found.iloc[0].tolist()
    assert first == 1.0
    assert 0.9 < second < 1.0

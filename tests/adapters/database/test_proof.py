"""The comparison itself is tested through ``verify``; here is what it promises about cost and order."""

from __future__ import annotations

import psycopg

from trade_platform.adapters.database.proof import compare_trades, pair_candles
from trade_platform.adapters.ledger import LedgerCandle, LedgerTrade

T0 = 1_700_000_040_000_000


def emitted(sequence: int) -> LedgerTrade:
    return LedgerTrade(
        symbol="BTCUSDT", channel="trade", sequence=sequence, price="1", quantity="1", side="buy",
        event_time=T0 + sequence, first_id=sequence, last_id=sequence,
    )  # fmt: skip


def test_findings_are_bounded_and_counts_are_not(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        trades = (emitted(number) for number in range(1, 101))
        (proof,), findings = compare_trades(connection, "binance_spot", trades, limit=5)
    assert (proof.expected, proof.rows, proof.missing) == (100, 0, 100)
    assert [finding.detail.split(":")[0] for finding in findings] == [f"sequence {n}" for n in range(1, 6)]


def test_nothing_is_left_behind_by_a_comparison(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for _ in range(2):
            compare_trades(connection, "binance_spot", [emitted(1)])
        row = connection.execute("select to_regclass('ledger_trade')").fetchone()
    assert row == (None,)


def test_a_minute_is_due_only_between_trades(postgres_url: str) -> None:
    def candle(minute: int) -> LedgerCandle:
        return LedgerCandle(
            symbol="BTCUSDT", open_time=T0 + minute * 60_000_000, open="1", high="1", low="1", close="1",
            volume="0", quote_volume="0",
        )  # fmt: skip

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        spans = {"BTCUSDT": (T0 + 30_000_000, T0 + 150_000_000)}
        pairs = list(
            pair_candles(connection, "binance_spot", [candle(number) for number in range(-1, 4)], spans)
        )
        assert [pair.due for pair in pairs] == [False, False, True, False, False]
        assert list(pair_candles(connection, "binance_spot", [candle(0)], {})) == []

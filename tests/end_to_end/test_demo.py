"""What a newcomer sees: the demo proves itself, and the proof can fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Platform


@pytest.mark.timeout(300)
def test_the_demo_ends_by_itself_complete_and_verify_finds_a_lost_and_an_altered_row(
    platform: Platform,
) -> None:
    """One run serves for all: the proof is good, then each damage is found and named."""
    demo = platform.run("up", "--simulated", "--speed", "10", "--seconds", "20")
    assert demo.returncode == 0, demo.stdout + demo.stderr + platform.logs()
    assert "Trades held" in demo.stdout, "the status table is printed while it runs"
    result = re.search(r"Complete: ([\d,]+) trades of (\d+) instruments on (\d+) exchanges", demo.stdout)
    assert result is not None, demo.stdout
    assert int(result[1].replace(",", "")) > 500
    assert int(result[2]) >= 8
    assert int(result[3]) == 3
    assert "Traceback" not in demo.stdout + demo.stderr + platform.logs()

    busy = candles_with_trades(platform)
    for instrument in (
        ("binance_spot", "BTCUSDT"),
        ("binance_usdm", "BTCUSDT"),
        ("deribit", "BTC-PERPETUAL"),
    ):
        assert busy.get(instrument, 0) >= 1, f"{instrument} has no closed candle with trades: {busy}"

    assert platform.run("verify").returncode == 0
    exchange, symbol, sequence = damage(platform, "delete from trade where ctid = %s and tableoid = %s")
    proof = platform.run("verify")
    assert proof.returncode == 1
    assert re.search(rf"{exchange} {re.escape(symbol)} missing: sequence {sequence}\b", proof.stdout), (
        proof.stdout
    )

    exchange, symbol, sequence = damage(
        platform, "update trade set price = price + 1 where ctid = %s and tableoid = %s"
    )
    proof = platform.run("verify")
    assert proof.returncode == 1
    assert re.search(rf"{exchange} {re.escape(symbol)} altered: sequence {sequence}\b", proof.stdout), (
        proof.stdout
    )


def candles_with_trades(platform: Platform) -> dict[tuple[str, str], int]:
    with psycopg.connect(platform.database_url) as connection:
        rows = connection.execute(
            """select exchange, symbol, count(*) from candle join instrument using (instrument_id)
               where source = 'trade' and complete and trades > 0 group by 1, 2"""
        )
        return {(exchange, symbol): count for exchange, symbol, count in rows}


def damage(platform: Platform, statement: str) -> tuple[str, str, int]:
    """Change one row of the middle of the data; what it was."""
    with psycopg.connect(platform.database_url) as connection:
        row = connection.execute(
            """select trade.ctid, trade.tableoid, exchange, symbol, sequence
               from trade join instrument using (instrument_id)
               order by event_time offset (select count(*) / 2 from trade) limit 1"""
        ).fetchone()
        assert row is not None
        assert connection.execute(statement, row[:2]).rowcount == 1
    return row[2], row[3], row[4]

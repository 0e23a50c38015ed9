"""SIGKILL at any time, then restart: no row lost, none twice."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Platform

VICTIMS = [
    "streamer-binance_spot",
    "processor-market-binance_spot",
    "streamer-binance_usdm",
    "processor-market-binance_usdm",
    "streamer-deribit",
    "processor-market-deribit",
    "processor-state",
]


@pytest.mark.timeout(300)
def test_every_process_may_be_killed_in_mid_flow(platform: Platform) -> None:
    """Each is killed while trades flow, comes back by itself, and trades flow again; then all is proven."""
    platform.start("--simulated", "--speed", "10")
    pids = {name: platform.await_running(name) for name in VICTIMS}
    for name in VICTIMS:
        before = platform.held()
        platform.until(lambda before=before: platform.held() > before + 50, "trades flow before the kill")
        os.kill(pids[name], signal.SIGKILL)
        pids[name] = platform.await_running(name, other_than=pids[name])
        after = platform.held()
        platform.until(lambda after=after: platform.held() > after + 50, f"trades flow after {name} is back")
    code, said = platform.stop()
    assert "was killed by SIGKILL and was started again" in said
    assert code == 0, said + platform.logs()
    assert "missing 0, duplicated 0" in said


@pytest.mark.timeout(300)
def test_the_simulated_exchanges_may_be_killed_in_mid_flow(platform: Platform) -> None:
    """They come back where they were known, with the market that they had; everybody finds them again."""
    platform.start("--simulated", "--speed", "10")
    for name in VICTIMS:
        platform.await_running(name)
    platform.until(lambda: platform.held() > 300, "trades flow before the kill")
    pid = platform.await_running("simulator")
    before = platform.running("simulator")
    os.kill(pid, signal.SIGKILL)
    platform.await_running("simulator", other_than=pid)
    after = platform.running("simulator")
    assert before is not None
    assert after is not None
    assert after.urls == before.urls
    for exchange in after.urls:
        held = _held(platform, exchange)
        platform.until(
            lambda exchange=exchange, held=held: _held(platform, exchange) > held + 20,
            f"trades of {exchange} flow after the exchange is back",
        )
    code, said = platform.stop()
    assert "simulator was killed by SIGKILL and was started again" in said
    assert code == 0, said + platform.logs()
    assert "missing 0, duplicated 0" in said


@pytest.mark.timeout(300)
def test_everything_may_be_killed_at_once_and_the_next_run_goes_on(platform: Platform) -> None:
    """Killing ``up`` ends what it started; a second run takes up where the first was cut off."""
    platform.start("--simulated", "--speed", "10")
    names = [*VICTIMS, "simulator"]
    for name in names:
        platform.await_running(name)
    platform.until(lambda: platform.held() > 300, "trades flow")
    platform.kill()
    platform.alone_until(
        lambda: not any(platform.running(name) for name in names), "the children end with it"
    )
    cut_off_at = platform.held()

    again = platform.run("up", "--simulated", "--speed", "10", "--seconds", "8")
    assert again.returncode == 0, again.stdout + again.stderr + platform.logs()
    assert platform.held() > cut_off_at
    assert "missing 0, duplicated 0" in again.stdout


def _held(platform: Platform, exchange: str) -> int:
    """Trades of one exchange in PostgreSQL."""
    with psycopg.connect(platform.database_url) as connection:
        row = connection.execute(
            "select count(*) from trade join instrument using (instrument_id) where exchange = %s",
            (exchange,),
        ).fetchone()
    return row[0] if row else 0

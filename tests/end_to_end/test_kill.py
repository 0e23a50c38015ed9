"""SIGKILL at any time, then restart: no row lost, none twice."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

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

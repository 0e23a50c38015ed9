"""`trade-platform upgrade` while trades flow: nothing missing, nothing called so, never a deaf moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from benchmarks.loopback import post
from trade_platform.adapters.loopback import LoopbackError, get_json

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Platform

PROGRAM = str(Path(sys.executable).with_name("trade-platform"))
EXCHANGES = ("binance_spot", "binance_usdm", "deribit")
STREAMERS = [f"streamer-{exchange}" for exchange in EXCHANGES]
LANES = [*(f"processor-market-{exchange}" for exchange in EXCHANGES), "processor-state", *STREAMERS, "repair"]


def details(platform: Platform, name: str) -> dict[str, Any]:
    """What /healthz of a process tells."""
    run = platform.running(name)
    try:
        found = get_json(f"{run.metrics}/healthz").get("details", {}) if run else {}
    except LoopbackError:
        return {}
    return dict(found)


def settled(platform: Platform, *names: str) -> bool:
    """These streamers deliver everything, and nothing is in doubt."""
    seen = [details(platform, name) for name in names]
    return all(one.get("live") and not one.get("unsettled") for one in seen)


def query(platform: Platform, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(platform.database_url) as connection:
        return connection.execute(statement, values).fetchall()


def heard(platform: Platform) -> dict[tuple[str, str, str], list[tuple[Any, Any]]]:
    """Per busy instrument and channel the spans of time in which it was listened to.

    Where minutes lie between two messages, one of the old process and one of the new do not prove that
    somebody listened in between; where there are many a second, they do.
    """
    spans: dict[tuple[str, str, str], list[tuple[Any, Any]]] = {}
    for exchange, symbol, channel, low, high in query(
        platform,
        """select exchange, symbol, channel, lower(span), upper(span)
           from (select instrument_id, channel, unnest(range_agg(held)) as span
                 from time_coverage group by instrument_id, channel) as spans
           join instrument using (instrument_id)
           where symbol in ('BTCUSDT', 'ETHUSDT', 'BTC-PERPETUAL', 'ETH-PERPETUAL')
             and channel in ('quote', 'mark', 'ticker')""",
    ):
        spans.setdefault((exchange, symbol, channel), []).append((low, high))
    return spans


def start(platform: Platform) -> None:
    """Trades flow on every exchange, and nothing of the beginning is in doubt any more."""
    platform.start("--simulated", "--speed", "10")
    for name in LANES:
        platform.await_running(name)
    platform.until(lambda: settled(platform, *STREAMERS), "everything is live")
    flow(platform)


def flow(platform: Platform, trades: int = 100) -> None:
    held = platform.held()
    platform.until(lambda: platform.held() > held + trades, "trades flow")


def cannot_connect(platform: Platform, exchange: str, seconds: float) -> None:
    """New connections of an exchange are refused; those that are there go on."""
    simulator = platform.running("simulator")
    assert simulator is not None
    post(f"{simulator.urls[exchange]['rest']}/simulator/fault", {"fault": "refuse", "seconds": seconds})


def begin_upgrade(platform: Platform, *arguments: str) -> subprocess.Popen[str]:
    """The verb in the background."""
    return subprocess.Popen(
        [PROGRAM, "upgrade", *arguments],
        env=platform.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(300)
def test_every_process_is_replaced_and_nothing_is_missing_for_a_moment(platform: Platform) -> None:
    start(platform)
    before = {name: platform.await_running(name) for name in LANES}
    ends = {key: max(high for _, high in spans) for key, spans in heard(platform).items()}
    ((since,),) = query(platform, "select max(receive_time) from trade")

    upgrade = platform.run("upgrade")
    assert upgrade.returncode == 0, upgrade.stdout + upgrade.stderr + platform.logs()
    assert upgrade.stdout.endswith(f"{len(LANES)} processes were replaced without a break.\n")
    for name in LANES:
        assert platform.running(name) is None, f"{name} stopped"
        assert platform.await_running(f"{name}-b") != before[name]

    flow(platform, 300)
    again = platform.run("upgrade", "--json", *(part for name in STREAMERS for part in ("--lane", name)))
    assert again.returncode == 0, again.stdout + again.stderr
    told = json.loads(again.stdout)
    assert [(one["new"], one["state"]) for one in told["lanes"]] == [
        (name, "old stopped") for name in STREAMERS
    ]
    flow(platform, 300)

    code, said = platform.stop()
    assert code == 0, said + platform.logs()
    assert "missing 0, duplicated 0" in said
    assert "was started again" not in said, "a slot that was stopped on purpose stays so"
    assert query(platform, "select reason, detail from gap where until > %s", since) == []
    assert {exchange for exchange, *_ in ends} == {*EXCHANGES}
    for key, spans in heard(platform).items():
        if key in ends:
            through = [high for low, high in spans if low < ends[key] <= high]
            assert through == [max(high for _, high in spans)], f"{key} was heard without a hole: {spans}"


@pytest.mark.timeout(300)
def test_a_new_version_that_ends_at_once_is_given_up_and_the_old_one_works_on(platform: Platform) -> None:
    start(platform)
    old = platform.await_running("streamer-deribit")
    spool = platform.folder / "spool"
    (spool / "streamer-deribit-b").write_text("no folder: the new process cannot begin")
    upgrade = platform.run("upgrade", "--lane", "streamer-deribit")
    assert upgrade.returncode == 1, upgrade.stdout
    assert "streamer-deribit-b ended with exit code 1" in upgrade.stdout
    assert "streamer-deribit works on" in upgrade.stdout
    assert platform.await_running("streamer-deribit") == old
    assert platform.running("streamer-deribit-b") is None
    flow(platform)

    unknown = platform.run("upgrade", "--lane", "streamer-mtgox")
    assert unknown.returncode == 1
    assert "There is no lane streamer-mtgox" in unknown.stdout
    code, said = platform.stop()
    assert code == 0, said + platform.logs()
    assert "missing 0, duplicated 0" in said


@pytest.mark.timeout(300)
def test_a_new_process_that_does_not_become_live_or_is_killed_is_given_up(platform: Platform) -> None:
    """And meanwhile a second upgrade is refused."""
    start(platform)
    old = platform.await_running("streamer-binance_spot")
    ((since,),) = query(platform, "select max(receive_time) from trade")
    cannot_connect(platform, "binance_spot", 600)

    late = platform.run("upgrade", "--lane", "streamer-binance_spot", "--deadline", "2")
    assert late.returncode == 1
    assert "streamer-binance_spot-b was not live after 2 s" in late.stdout

    waiting = begin_upgrade(platform, "--lane", "streamer-binance_spot")
    new = platform.await_running("streamer-binance_spot-b")
    second = platform.run("upgrade")
    assert second.returncode == 2
    assert "Another upgrade is under way" in second.stderr
    os.kill(new, signal.SIGKILL)
    said, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 1
    assert "streamer-binance_spot works on" in said

    assert platform.await_running("streamer-binance_spot") == old
    flow(platform)
    code, said = platform.stop()
    assert code == 0, said + platform.logs()
    assert "missing 0, duplicated 0" in said
    reasons = query(
        platform, "select reason, detail from gap where exchange = 'binance_spot' and until > %s", since
    )
    assert reasons == [], "the old one never knew"


@pytest.mark.timeout(300)
def test_up_may_be_killed_in_the_middle_of_an_upgrade(platform: Platform) -> None:
    """Nothing is left behind, the verb says so, and the next run goes on from there, in the first slots."""
    start(platform)
    cannot_connect(platform, "deribit", 600)
    upgrade = begin_upgrade(platform)
    platform.await_running("streamer-deribit-b")
    platform.kill()
    said, _ = upgrade.communicate(timeout=120)
    assert upgrade.returncode == 1
    assert "`up` ended meanwhile" in said
    names = [*LANES, *(f"{name}-b" for name in LANES), "simulator"]
    platform.alone_until(lambda: not any(platform.running(name) for name in names), "all ended with it")

    again = platform.run("up", "--simulated", "--speed", "10", "--seconds", "8")
    assert again.returncode == 0, again.stdout + again.stderr + platform.logs()
    assert "missing 0, duplicated 0" in again.stdout
    assert platform.run("upgrade").returncode == 2, "nothing runs any more"


@pytest.mark.timeout(300)
def test_kills_in_a_row_under_load_lose_nothing(platform: Platform) -> None:
    """The shorter cut of fifty: the victims take turns, and none gets time to recover."""
    start(platform)
    victims = [name for name in LANES if "market" in name or name in STREAMERS]
    pids = {name: platform.await_running(name) for name in LANES}
    for turn in range(10):
        name = victims[turn * 5 % len(victims)]
        os.kill(pids[name], signal.SIGKILL)
        pids[name] = platform.await_running(name, other_than=pids[name])
    flow(platform)
    code, said = platform.stop()
    assert code == 0, said + platform.logs()
    assert said.count("was killed by SIGKILL and was started again") == 10
    assert "missing 0, duplicated 0" in said

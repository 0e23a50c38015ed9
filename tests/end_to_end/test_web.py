"""Dagster as a trader meets it: the page of a platform that runs, in a browser, and what it answers.

One platform serves all tests of this file; each leaves it as healthy as it found it. Its streamers do not
read again what they missed, so that every hole is left to the sensor. Pictures of every look are kept in
the folder that WEB_PICTURES names, else in pytest's own.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import psycopg
import pytest

from benchmarks.loopback import post
from benchmarks.webserver import ASSETS, Check, DagsterRun, Key, NoAnswer, Webserver
from tests.end_to_end.conftest import Platform, T
from tests.end_to_end.page import Page, browser
from trade_platform.adapters.embedded import url_of
from trade_platform.adapters.process import read_run
from trade_platform.domain.market_clock import MarketClock
from trade_platform.domain.model import MICROSECONDS
from trade_platform.exchanges.registry import EXCHANGES

pytestmark = pytest.mark.timeout(1200)

UNUSED = "accounts"
"""Nothing of this group is asked about here: no account is known to this platform."""
GROUPS = ("live", "ohlc", "completeness", "maintenance")
CANDLES = ("candles_1m",)
WIDER = ("candles_5m", "candles_15m", "candles_1h", "candles_4h", "candles_1d")
PROVEN = (CANDLES, *((name,) for name in WIDER), ("control_totals",))
CONNECTION = ("exchange", "binance_spot")
EXCHANGE, SYMBOL = "binance_spot", "BTCUSDT"
INSTRUMENT = f"{EXCHANGE}/{SYMBOL}"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
PATIENCE_SECONDS = 400
"""It only ends a broken run."""
REPAIR_SECONDS = 30
"""From the note of a gap to the end of its repair, at the median of a quiet machine."""

_LATEST_GAP = "SELECT coalesce(max(gap_id), 0) FROM gap"
_REPAIRED = """
SELECT state, repaired_by, extract(epoch FROM closed_at - detected_at)::float8 FROM gap
WHERE gap_id > %s AND first_sequence IS NOT NULL AND state <> 'open' ORDER BY gap_id LIMIT 1
"""
_NEWEST = """
SELECT instrument_id, open_time, close FROM candle JOIN instrument USING (instrument_id)
WHERE (exchange, symbol) = (%s, %s) AND interval = '1m' AND source = 'trade' AND trades > 0
  AND open_time >= %s AND open_time < %s::date + 1
ORDER BY open_time DESC LIMIT 1
"""
_ALTER = """
UPDATE candle SET close = %s
WHERE instrument_id = %s AND interval = '1m' AND source = 'trade' AND open_time = %s
"""


class Shown(Platform):
    """A platform with Dagster and servers of its own, as ``make demo`` starts it."""

    def __init__(self, folder: Path, environment: dict[str, str], repository: Path) -> None:
        super().__init__(folder, environment, repository)
        self.web = Webserver("http://127.0.0.1")
        self.meant: set[str] = set()
        """Runs that were made to fail."""

    @property
    def database_url(self) -> str:
        return url_of(self.folder / "postgres")

    def await_web(self) -> None:
        """Until the page answers, and knows what is defined."""
        run = self.until(lambda: self.running("dagster-web"), "the web page")
        self.web = Webserver(run.urls["page"]["http"])
        self.until(self.web.nodes, "definitions are loaded", PATIENCE_SECONDS)

    def until(self, condition: Callable[[], T | None], what: object, timeout: float = PATIENCE_SECONDS) -> T:
        """As ever; a page that does not answer yet has no answer."""

        def asked() -> T | None:
            with suppress(NoAnswer, psycopg.OperationalError):
                return condition() or None
            return None

        return super().until(asked, what, timeout)

    def today(self) -> date:
        """The UTC day of the market."""
        told = Path(f"/proc/{self.await_running('simulator')}/environ").read_bytes().decode().split("\0")
        clock = next(line.partition("=")[2] for line in told if line.startswith("MARKET_CLOCK="))
        now = MarketClock.from_text(clock).at(time.monotonic())
        return datetime.fromtimestamp(now // MICROSECONDS, UTC).date()

    def partition(self) -> str:
        """Of the instrument's running day, once its instrument is known there."""
        self.until(
            lambda: INSTRUMENT in self.web.partitions(CANDLES)["instrument"], f"{INSTRUMENT} is a partition"
        )
        return f"{self.today()}|{INSTRUMENT}"

    def ended(self, run_id: str) -> DagsterRun:
        """A run, once it is over."""

        def over() -> DagsterRun | None:
            run = self.web.run(run_id)
            return run if run.status in ENDED else None

        return self.until(over, f"run {run_id} is over")

    def materialize(self, asset: Key, partition: str) -> None:
        """By a run of its own."""
        run = self.ended(self.web.launch(ASSETS, assets=[asset], tags={"dagster/partition": partition}))
        assert run.status == "SUCCESS", self.web.events(run.run_id)[-5:]

    def checked(self, asset: Key, name: str, partition: str, *, passes: bool) -> None:
        """A check of one partition is run now; the run of a blocking one fails with it."""
        tags = {"dagster/partition": partition}
        run = self.ended(self.web.launch(ASSETS, check=(asset, name), tags=tags))
        found = self.web.check(asset, name, partition)
        assert found.status == ("SUCCEEDED" if passes else "FAILED"), found
        if not passes:
            self.meant.add(run.run_id)

    def is_told(self, asset: Key, partition: str) -> bool:
        """Somebody said that it is made."""
        return partition in {one for one, _ in self.web.materialized(asset)}

    def of_partitions(self) -> list[Check]:
        """The checks of every instrument's day of which it was said that its candles are made."""
        proven = [one for one in self.web.checks() if one.asset in PROVEN]
        made = {partition for partition, _ in self.web.materialized(CANDLES)}
        return [
            msgspec.structs.replace(self.web.check(one.asset, one.name, partition), description=partition)
            for partition in sorted(made)
            for one in proven
        ]

    def inflict(self, exchange: str, fault: str, **fields: object) -> None:
        """Have a simulated exchange do something wrong."""
        run = read_run(self.folder / "run" / "simulator.json")
        assert run is not None
        url = f"{run.urls[exchange]['rest']}/simulator/fault"
        assert "error" not in post(url, {"fault": fault, "exchange": exchange, **fields})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots are kept."""
    given = os.environ.get("WEB_PICTURES")
    return Path(given) if given else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def shown(server_folder: Path, repository: Path) -> Iterator[Shown]:
    """Started as a person starts it, with two days of a past; at the end nothing must be missing."""
    one = Shown(server_folder / "web", {"WITHOUT": "catch_up", "WEB_PORT": "0"}, repository)
    one.start("--simulated", "--dagster", "--history", "2")
    try:
        one.await_web()
        one.until(lambda: one.held() > 500, "trades flow")
        yield one
        code, said = one.stop()
        assert code == 0, said + one.logs()
    finally:
        one.kill()


@pytest.fixture(scope="module")
def page(shown: Shown, pictures: Path) -> Iterator[Page]:
    """One tab for all tests; its own program must throw nothing."""
    with browser(shown.web.url, pictures) as one:
        yield one
    sys.stderr.write(f"\npictures of the page: {pictures}\n")
    assert one.errors == []


def test_everything_is_described_and_belongs_to_somebody(shown: Shown) -> None:
    nodes = shown.web.nodes()
    assert {node.group for node in nodes} - {UNUSED} == set(GROUPS)
    assert [node.key for node in nodes if not (node.description and node.kinds and node.owners)] == []
    assert [(one.asset, one.name) for one in shown.web.checks() if not one.description] == []
    assert [one.name for one in shown.web.automations(ticks=1) if not one.description] == []


def test_sensors_and_schedules_run_by_themselves(shown: Shown) -> None:
    found = shown.web.automations(ticks=1)
    assert {one.kind for one in found} == {"sensor", "schedule"}
    assert [one.name for one in found if one.status != "RUNNING"] == []
    sensors = {one.name for one in found if one.kind == "sensor"}
    shown.until(
        lambda: sensors <= {one.name for one in shown.web.automations(ticks=1) if one.ticks},
        "every sensor has looked",
    )


def test_the_running_day_is_told_and_proven_without_a_hand(shown: Shown, page: Page) -> None:
    """Nobody materialised anything yet: what the market's processes have made is told as it comes."""
    partition = shown.partition()
    for asset in PROVEN:
        shown.until(partial(shown.is_told, asset, partition), f"{asset} of {partition} is told")

    def proven() -> bool:
        return {one.status for one in shown.of_partitions()} == {"SUCCEEDED"}

    shown.until(proven, "all of it is green")
    page.asset(CANDLES, "checks")
    page.sees("Passed")
    page.keep("running_day")


def test_the_graph_goes_from_the_exchange_to_the_candle(shown: Shown, page: Page) -> None:
    shown.until(
        lambda: all(shown.web.check(("exchange", key), "delivering").status for key in EXCHANGES),
        "the connections were looked at",
    )
    page.graph(GROUPS)
    page.sees("1 / 1 Passed")
    page.keep("graph_near")
    page.zoom_out()
    for name in (*EXCHANGES, "trade", *CANDLES, *WIDER, "control_totals", "gap_repair"):
        page.sees(name, exact=True)
    page.keep("graph")
    page.usual_size()


def test_a_partition_of_candles_shows_its_picture(shown: Shown, page: Page) -> None:
    partition = shown.partition()
    shown.materialize(CANDLES, partition)
    page.asset(CANDLES, "partitions", partition=partition)
    page.show_picture("chart")
    page.keep("partition")


def test_the_report_shows_what_is_covered(shown: Shown, page: Page) -> None:
    run = shown.ended(shown.web.launch("report_completeness"))
    assert run.status == "SUCCESS", shown.web.events(run.run_id)[-5:]
    page.asset(("completeness_report",))
    page.show_picture("coverage of 24 hours")
    page.keep("completeness")


def test_a_failed_run_says_why(shown: Shown, page: Page) -> None:
    """PostgreSQL is not where the run is told to look for it."""
    nowhere = {"resources": {"stores": {"config": {"database_url": "postgresql://127.0.0.1:9/none"}}}}
    run = shown.ended(shown.web.launch("list_instruments", config=nowhere))
    assert run.status == "FAILURE"
    shown.meant.add(run.run_id)
    page.run(run.run_id)
    page.sees(re.compile("Failure|Failed"))
    page.sees(re.compile(r"127\.0\.0\.1"))
    page.keep("failed_run")


def test_a_backfill_of_days_is_launched_by_hand(shown: Shown, page: Page) -> None:
    """Of the market's past, before the platform ran; the running day as far as it has come."""
    last = shown.today()
    first = last - timedelta(days=1)
    asset = ("trades_backfill",)
    page.backfill(asset, shown.partition(), first.isoformat(), last.isoformat(), 2)
    backfill = shown.until(lambda: next(iter(shown.web.backfills()), None), "the backfill is there")
    page.open(f"/runs/b/{backfill['id']}")
    page.sees("trades_backfill")
    page.keep("backfill")
    shown.until(lambda: shown.web.backfills()[0]["status"] == "COMPLETED_SUCCESS", "the backfill is done")
    page.sees("100% completed")
    page.keep("backfill_done")
    done = {partition for partition, _ in shown.web.materialized(asset)}
    assert done == {f"{day}|{INSTRUMENT}" for day in (first, last)}


def test_a_streamer_that_stands_still_is_red(shown: Shown, page: Page) -> None:
    """Frozen, not killed: nobody starts it again."""
    pid = shown.await_running(f"streamer-{EXCHANGE}")
    os.kill(pid, signal.SIGSTOP)
    try:
        shown.until(lambda: shown.web.check(CONNECTION, "delivering").status == "FAILED", "it is red")
        page.asset(CONNECTION, "checks")
        page.sees("Failed")
        page.keep("streamer_stopped_check")
        page.graph(GROUPS)
        page.sees(re.compile("1 / 1 Failed|0 / 1 Passed"))
        page.keep("streamer_stopped_graph")
    finally:
        page.usual_size()
        os.kill(pid, signal.SIGCONT)
    shown.until(lambda: shown.web.check(CONNECTION, "delivering").status == "SUCCEEDED", "it is green")


def test_an_altered_candle_is_red(shown: Shown, page: Page) -> None:
    partition = shown.partition()
    name = "made_of_their_trades"
    shown.materialize(CANDLES, partition)
    shown.checked(CANDLES, name, partition, passes=True)
    day = partition.partition("|")[0]
    with psycopg.connect(shown.database_url, autocommit=True) as connection:
        newest = connection.execute(_NEWEST, (EXCHANGE, SYMBOL, day, day)).fetchone()
        assert newest is not None
        instrument_id, open_time, close = newest
        assert connection.execute(_ALTER, (close + 1, instrument_id, open_time)).rowcount == 1
        shown.checked(CANDLES, name, partition, passes=False)
        said = shown.web.check(CANDLES, name, partition).said
        assert said.startswith(f"{open_time.astimezone(UTC):%H:%M} close "), said
        page.asset(CANDLES, "checks", checkDetail=name)
        page.sees("Failed")
        page.keep("candle_altered")
        assert connection.execute(_ALTER, (close, instrument_id, open_time)).rowcount == 1
    shown.until(
        lambda: shown.web.check(CANDLES, name, partition).status == "SUCCEEDED",
        "the check is green again by itself",
    )


def test_a_gap_is_seen_repaired_and_closed_without_a_hand(shown: Shown, page: Page) -> None:
    with psycopg.connect(shown.database_url, autocommit=True) as connection:
        row = connection.execute(_LATEST_GAP).fetchone()
        assert row is not None
        shown.inflict(EXCHANGE, "skip", symbol=SYMBOL, channel="trade", count=3)
        closed = shown.until(lambda: connection.execute(_REPAIRED, row).fetchone(), "the gap is closed")
    state, by, seconds = closed
    assert (state, by) == ("repaired", "rest")
    sys.stderr.write(f"\na gap was closed {seconds:.1f} s after its note (reach: {REPAIR_SECONDS} s)\n")
    runs = shown.web.runs(pipelineName="repair_gaps")
    assert any(run.tags.get("dagster/sensor_name") == "open_gaps" for run in runs)
    page.asset(("gap_repair",))
    page.sees(re.compile("records"))
    page.keep("gap_repaired")


def test_after_all_that_no_tick_has_failed_and_no_check_is_red(shown: Shown, page: Page) -> None:
    others: list[object] = ["every check was asked and is green; not so: "]

    unused = {node.key for node in shown.web.nodes() if node.group == UNUSED}

    def all_green() -> bool:
        found = [one for one in (*shown.web.checks(), *shown.of_partitions()) if one.asset not in unused]
        others[1:] = [one for one in found if one.status != "SUCCEEDED"]
        return not others[1:]

    shown.until(all_green, others)
    failed = [
        (one.name, tick.error)
        for one in shown.web.automations()
        for tick in one.ticks
        if tick.status == "FAILURE"
    ]
    assert failed == []
    assert {run.run_id for run in shown.web.runs(statuses=["FAILURE"])} == shown.meant
    page.open("/automation")
    page.sees("open_gaps")
    page.sees(re.compile("Every 5 minutes"))
    page.keep("automation")
    page.open("/runs")
    page.sees("repair_gaps")
    page.keep("runs")


def test_a_foreign_page_cannot_drive_it(shown: Shown) -> None:
    """What a browser sends for a page of somebody else."""
    question = b'{"query": "{ version }"}'
    assert shown.web.post("/graphql", question)[0] == 200
    foreign = {"Origin": "http://evil.example"}
    assert shown.web.post("/graphql", question, headers=foreign)[0] == 403
    assert shown.web.post("/graphql", question, headers={"Content-Type": "text/plain"})[0] == 403
    assert shown.web.post("/graphql?query=%7Bversion%7D", b"", method="GET")[0] == 403

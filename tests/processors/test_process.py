"""The processor as a process: killed, doubled, cut off from its servers, stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from tests.processors.feeding import EXCHANGE, NOON, STREAM, entry, held, kline, number, trade, until
from trade_platform.adapters.bus import latest_key
from trade_platform.adapters.database import migrate
from trade_platform.adapters.embedded import Server
from trade_platform.domain.model import MINUTE, Trade

Start = Callable[..., subprocess.Popen[str]]


class Feed:
    """Adds entries of trades of several symbols, as one producer."""

    def __init__(self, redis_url: str) -> None:
        self.client = Redis.from_url(redis_url)
        self.n = 0
        self.sequences = dict.fromkeys(("BTCUSDT", "ETHUSDT"), 0)

    @property
    def sent(self) -> int:
        return sum(self.sequences.values())

    def add(self, count: int = 10) -> None:
        """One entry of each symbol."""
        for symbol, last in self.sequences.items():
            trades = [self.trade(symbol, last + k) for k in range(1, count + 1)]
            self.sequences[symbol] = last + count
            self.n += 1
            self.client.xadd(STREAM, entry(trades, self.n).fields())  # type: ignore[arg-type]

    @staticmethod
    def trade(symbol: str, sequence: int) -> Trade:
        return trade(sequence, NOON + sequence * MINUTE // 50, symbol=symbol)


@pytest.fixture
def feed(redis_url: str) -> Iterator[Feed]:
    made = Feed(redis_url)
    yield made
    made.client.close()


@pytest.fixture
def start(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Start]:
    """Starts processors; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def begin(name: str = "processor-test", stream: str = STREAM, **settings: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "DATABASE_URL": postgres_url,
            "REDIS_URL": redis_url,
            "DATA_FOLDER": str(tmp_path),
            "PROCESS_NAME": name,
            **settings,
        }
        command = [sys.executable, "-m", "trade_platform.processors", "--stream", stream]
        with (tmp_path / f"{name}.log").open("a") as log:
            processes.append(subprocess.Popen(command, env=environment, stderr=log, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def proven(connection: psycopg.Connection[Any], feed: Feed) -> None:
    """Every trade once, coverage equal to the rows, nothing refused, no gap."""
    rows = connection.execute(
        "SELECT symbol, count(*), count(DISTINCT sequence), max(sequence) FROM trade "
        "JOIN instrument USING (instrument_id) GROUP BY symbol"
    ).fetchall()
    assert {row[0]: row[1:] for row in rows} == {s: (last,) * 3 for s, last in feed.sequences.items()}
    assert held(connection) == feed.sent
    for table in ("gap", "dead_letter"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    wrong = connection.execute(
        "SELECT open_time FROM candle WHERE source = 'trade' AND trades <> 50 ORDER BY 1"
    ).fetchall()
    assert len(wrong) <= 2 * len(feed.sequences), "all but the first and the last minute have their trades"


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(15)


def test_killed_in_mid_flow_again_and_again(
    start: Start, feed: Feed, database: psycopg.Connection[Any]
) -> None:
    """SIGKILL at no particular moment, six times, while entries keep coming."""
    chance = random.Random(7)
    for _ in range(6):
        process = start()
        goal = held(database) + chance.randint(1, 400)
        while held(database) < goal:
            feed.add(chance.randint(1, 40))
        feed.add(100)
        process.kill()
        process.wait()
    last = start()
    until(lambda: held(database) == feed.sent, "everything is stored")
    proven(database, feed)
    assert stop(last) == 0


def test_two_processors_one_owner(
    start: Start, feed: Feed, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """The second stands by, ready, and takes over when the first is killed; both stop gracefully."""
    first = start("first")
    feed.add()
    until(lambda: held(database) == feed.sent, "the first stores")
    second = start("second")
    until((tmp_path / "run" / "second.json").exists, "the second is ready")
    assert health(tmp_path / "run" / "second.json")["details"]["role"] == "standby"
    third = start("third")
    until((tmp_path / "run" / "third.json").exists, "the third is ready")
    assert stop(third) == 0, "a standby stops at once"
    first.kill()
    feed.add()
    until(lambda: held(database) == feed.sent, "the second has taken over")
    assert health(tmp_path / "run" / "second.json")["details"]["role"] == "owner"
    assert stop(second) == 0
    assert not (tmp_path / "run" / "second.json").exists()
    proven(database, feed)


def test_its_connection_is_cut_while_entries_keep_coming(
    start: Start, feed: Feed, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    process = start()
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'processor-test'"
    for _ in range(5):
        goal = held(database) + 50
        while held(database) < goal:
            feed.add(20)
        database.execute(cut)
    until(lambda: held(database) == feed.sent, "everything is stored")
    proven(database, feed)
    assert stop(process) == 0
    log = (tmp_path / "processor-test.log").read_text()
    assert "Traceback" not in log
    assert log.count("PostgreSQL cannot be used") <= 5


def test_postgresql_is_restarted(
    start: Start, feed: Feed, postgres_server: Callable[..., Server], tmp_path: Path
) -> None:
    """Absent at the start, without a schema, then killed: waits each time, loses nothing."""
    server = postgres_server()
    url = server.url
    server.stop()
    process = start(DATABASE_URL=url)
    log = tmp_path / "processor-test.log"
    until(lambda: "PostgreSQL cannot be used" in log.read_text(), "its absence is said")
    server = postgres_server()
    migrate.upgrade(url)
    feed.add(100)
    with psycopg.connect(url, autocommit=True) as database:
        until(lambda: held(database) == feed.sent, "it works as soon as it can")
    server.kill()
    feed.add(100)
    server = postgres_server()
    with psycopg.connect(url, autocommit=True) as database:
        until(lambda: held(database) == feed.sent, "what came meanwhile is stored")
        proven(database, feed)
    assert stop(process) == 0
    assert "Traceback" not in log.read_text()


def test_redis_is_restarted(
    start: Start, redis_server: Callable[..., Server], database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    server = redis_server(parameters={"appendonly": "yes", "appendfsync": "always"})
    process = start(REDIS_URL=server.url)
    feed = Feed(server.url)
    feed.add()
    until(lambda: held(database) == feed.sent, "it stores")
    server.kill()
    log = tmp_path / "processor-test.log"
    until(lambda: "Redis cannot be used" in log.read_text(), "its absence is said")
    redis_server(parameters={"appendonly": "yes", "appendfsync": "always"})
    feed.add()
    until(lambda: held(database) == feed.sent, "it goes on")
    proven(database, feed)
    assert stop(process) == 0
    assert log.read_text().count("Redis cannot be used") == 1


def test_redis_comes_back_empty(
    start: Start, redis_server: Callable[..., Server], database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """What stands in the new stream is read from its beginning, whatever its ids are."""
    server = redis_server("first", parameters={"appendonly": "no"})
    process = start(REDIS_URL=server.url)
    feed = Feed(server.url)
    feed.add()
    feed.client.xadd(STREAM, entry([trade(1, symbol="FAR")], 1, producer="b").fields(), id="9999999999999-0")  # type: ignore[arg-type]
    until(lambda: held(database) == feed.sent + 1, "it stores")
    feed.client.delete(STREAM)
    server.kill()
    redis_server("first", parameters={"appendonly": "no"})
    feed.add()
    until(lambda: held(database) == feed.sent + 1, "it reads the new stream")
    assert stop(process) == 0
    assert "lost entries that are stored here" in (tmp_path / "processor-test.log").read_text()


def test_the_latest_values_and_the_running_candle_are_in_redis(
    start: Start, feed: Feed, database: psycopg.Connection[Any]
) -> None:
    process = start()
    feed.add(30)
    for n, records in enumerate(
        ([number(), number(NOON + 1, value="7")], [kline(NOON, symbol="X", closed=False)]), 1
    ):
        feed.client.xadd(STREAM, entry(records, n, producer="p").fields())  # type: ignore[arg-type]
    key = latest_key(EXCHANGE, "BTCUSDT")
    until(lambda: feed.client.hlen(key) == 2, "number and candle are there")
    until(lambda: json.loads(feed.client.hget(key, "candle") or "{}").get("trades") == 30, "all trades")
    assert feed.client.hget(key, "best_bid") == b"7"
    assert 0 < int(feed.client.ttl(key)) <= 300
    candle = json.loads(feed.client.hget(key, "candle") or "{}")
    assert (candle["source"], candle["open_time"], candle["volume"]) == ("trade", NOON, "7.50")
    of_exchange = latest_key(EXCHANGE, "X")
    until(lambda: feed.client.hlen(of_exchange) == 1, "where no trades are recorded, the exchange's candle")
    assert stop(process) == 0


def test_metrics_and_health(
    start: Start, feed: Feed, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    process = start()
    feed.add(10)
    until(lambda: held(database) == feed.sent, "it stores")
    run = tmp_path / "run" / "processor-test.json"
    until(run.exists, "it is ready")
    assert health(run)["ok"]
    url = json.loads(run.read_text())["metrics"]

    def counted(sample: str, value: float) -> bool:
        with urllib.request.urlopen(f"{url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return f"{sample} {value}" in lines

    until(lambda: counted(f'processor_rows_total{{stream="{STREAM}",table="trade"}}', 20.0), "rows")
    until(lambda: counted(f'processor_lag_entries{{stream="{STREAM}"}}', 0.0), "lag")
    until(lambda: counted(f'processor_records_total{{stream="{STREAM}"}}', 20.0), "records")
    assert stop(process) == 0


def health(run: Path) -> Any:
    url = json.loads(run.read_text())["metrics"]
    with urllib.request.urlopen(f"{url}/healthz") as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize(
    ("settings", "stream", "says"),
    [
        ({"DATABASE_URL": ""}, STREAM, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "sqlite:///x"}, STREAM, "DATABASE_URL must begin with"),
        ({"DATABASE_URL": "postgresql://a:b:c@[/x"}, STREAM, "DATABASE_URL is no database URL"),
        ({"REDIS_URL": ""}, STREAM, "REDIS_URL is not set"),
        ({"REDIS_URL": "http://x"}, STREAM, "REDIS_URL must begin with"),
        ({}, "nonsense", "is none of market:KEY, account:KEY:TENANT.NAME, state"),
    ],
)
def test_what_is_wrong_at_the_start_is_said_and_ends_it(
    start: Start, tmp_path: Path, settings: dict[str, str], stream: str, says: str
) -> None:
    assert start(stream=stream, **settings).wait(30) == 2
    log = (tmp_path / "processor-test.log").read_text()
    assert says in log
    assert "Traceback" not in log


def test_a_missing_schema_is_said_and_waited_for(
    start: Start, feed: Feed, empty_postgres_url: str, tmp_path: Path
) -> None:
    process = start(DATABASE_URL=empty_postgres_url)
    log = tmp_path / "processor-test.log"
    command = "run `python -m trade_platform.adapters.database.migrate`"
    until(lambda: command in log.read_text(), "the command is named")
    feed.add()
    migrate.upgrade(empty_postgres_url)
    with psycopg.connect(empty_postgres_url, autocommit=True) as database:
        until(lambda: held(database) == feed.sent, "it goes on by itself")
    assert stop(process) == 0


def test_what_is_in_the_stream_when_it_is_stopped_is_stored(
    start: Start, feed: Feed, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    process = start()
    until((tmp_path / "run" / "processor-test.json").exists, "it is ready")
    feed.add(5000)
    assert stop(process) == 0
    assert held(database) == feed.sent
    proven(database, feed)


def test_it_stops_in_mid_flow_without_losing_its_place(
    start: Start, feed: Feed, database: psycopg.Connection[Any]
) -> None:
    stopping = threading.Event()

    def send() -> None:
        while not stopping.wait(0.002):
            feed.add(5)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(3):
            process = start()
            goal = held(database) + 100
            until(lambda goal=goal: held(database) > goal, "it stores")  # type: ignore[misc]
            assert stop(process) == 0
    finally:
        stopping.set()
        sender.join()
    process = start()
    until(lambda: held(database) == feed.sent, "the rest is stored")
    proven(database, feed)
    assert stop(process) == 0

"""``trade-platform gaps`` and ``gaps repair``, as a person and as a process of the platform."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.operations.spot import Market, Producer, noted, numbers_of, processing, stored
from tests.processors.feeding import until
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.embedded import Server
from trade_platform.commands.gaps import gaps
from trade_platform.domain.model import Channel, Gap, GapReason

Start = Callable[..., subprocess.Popen[str]]
SELECTION = '[[record]]\nexchange = "binance_spot"\nsymbols = ["*"]\nchannels = ["trade", "candle"]\n'


@pytest.fixture
def running(postgres_url: str, redis_url: str) -> Iterator[Producer]:
    with processing(postgres_url, redis_url):
        producer = Producer(redis_url)
        yield producer
        producer.client.close()


@pytest.fixture
def start(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Start]:
    """Starts ``trade-platform gaps repair …``; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []
    (tmp_path / "instruments.toml").write_text(SELECTION)

    def begin(*arguments: str, name: str = "repair", **settings: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "DATABASE_URL": postgres_url,
            "REDIS_URL": redis_url,
            "DATA_FOLDER": str(tmp_path),
            "INSTRUMENTS_FILE": str(tmp_path / "instruments.toml"),
            "PROCESS_NAME": name,
            **settings,
        }
        command = [sys.executable, "-m", "trade_platform", "gaps", "repair", *arguments]
        log = (tmp_path / f"{name}.log").open("a")
        with log:
            processes.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
            )
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def own_settings(postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))


def ended(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str]:
    out, _ = process.communicate(timeout=seconds)
    return process.returncode, out


def aged(connection: Connection) -> None:
    """No gap is so fresh that it is left to a streamer."""
    connection.execute("UPDATE gap SET detected_at = detected_at - interval '1 minute'")


# --- the table ---


@pytest.mark.usefixtures("own_settings")
def test_no_gap_is_said_in_one_line() -> None:
    answer = CliRunner().invoke(gaps)
    assert (answer.exit_code, answer.output) == (0, "In 24 hours: 0 gaps, 0 repaired, 0 open\n")


@pytest.mark.usefixtures("own_settings")
def test_the_table_has_open_gaps_first_and_says_what_became_of_the_others(connection: Connection) -> None:
    lost = Gap(None, Channel.TICKER, GapReason.DISCONNECT, None, None, 10, 2_500_010, "market-0: closed")
    write_gaps(connection, "binance_spot", [noted(100, 101), noted(5_000, 6_999), lost])
    connection.execute(
        "UPDATE gap SET state = 'repaired', repaired_by = 'rest', closed_at = now() "
        "WHERE first_sequence = 100"
    )
    connection.execute(
        "UPDATE gap SET state = 'unrepairable', verdict = 'no exchange serves it again', closed_at = now() "
        "WHERE channel = 'ticker'"
    )
    connection.execute("UPDATE gap SET remaining = '{[5000,5010)}', attempts = 2 WHERE state = 'open'")
    answer = CliRunner(env={"COLUMNS": "200"}).invoke(gaps)
    assert answer.exit_code == 1
    lines = [line for line in answer.output.splitlines() if "binance_spot" in line]
    assert ["5,000 – 6,999" in lines[0], "10 of 2,000" in lines[0], "open" in lines[0]] == [True] * 3
    assert "2.5 s" in next(line for line in lines if "ticker" in line)
    assert "3 gaps, 1 repaired, 1 open, 1 beyond repair" in answer.output
    rows = json.loads(CliRunner().invoke(gaps, ["--json", "--symbol", "BTCUSDT"]).output)
    assert [(row["first_sequence"], row["missing"], row["state"]) for row in rows["gaps"]] == [
        (5000, 10, "open"),
        (100, 2, "repaired"),
        (None, None, "unrepairable"),
    ]
    assert rows["last_24_hours"] == {"gaps": 3, "repaired": 1, "unrepairable": 1, "open": 1}


@pytest.mark.usefixtures("own_settings")
def test_what_is_asked_of_one_symbol_is_counted_of_it_alone(connection: Connection) -> None:
    write_gaps(connection, "binance_spot", [noted(100, 101), noted(5_000, 6_999)])
    connection.execute("INSERT INTO instrument (exchange, symbol) VALUES ('deribit', 'BTC-PERPETUAL')")
    said = {
        arguments: CliRunner().invoke(gaps, arguments.split())
        for arguments in ("--symbol BTCUSDT", "--symbol BTC-PERPETUAL", "--exchange deribit")
    }
    assert [(answer.exit_code, answer.output.splitlines()[-1]) for answer in said.values()] == [
        (1, "In 24 hours: 2 gaps, 0 repaired, 2 open"),
        (0, "In 24 hours: 0 gaps, 0 repaired, 0 open"),
        (0, "In 24 hours: 0 gaps, 0 repaired, 0 open"),
    ]
    nowhere = CliRunner().invoke(gaps, ["--exchange", "deribit", "--symbol", "BTCUSDT"])
    assert str(nowhere.exception) == "Nothing is known of BTCUSDT at deribit."


@pytest.mark.usefixtures("own_settings")
def test_moments_are_those_of_the_ledger(connection: Connection) -> None:
    write_gaps(connection, "binance_spot", [noted(100, 101)])
    connection.execute(
        "UPDATE gap SET state = 'repaired', detected_at = '2026-11-21 12:00:01.000002+00', "
        "attempted_at = '2026-11-21 12:00:03+00', closed_at = '2026-11-21 12:00:04+00'"
    )
    [row] = json.loads(CliRunner().invoke(gaps, ["--all", "--json"]).output)["gaps"]
    assert [row[name] for name in ("detected_at", "attempted_at", "repaired_at")] == [
        *("2026-11-21T12:00:01.000002+00:00", "2026-11-21T12:00:03+00:00", "2026-11-21T12:00:04+00:00"),
    ]


@pytest.mark.usefixtures("own_settings")
def test_where_there_is_no_terminal_the_table_is_wide(connection: Connection) -> None:
    write_gaps(connection, "binance_spot", [noted(5_000_000_000, 5_000_001_999)])
    answer = CliRunner(env={"COLUMNS": "80"}).invoke(gaps)
    [line] = [line for line in answer.output.splitlines() if "binance_spot" in line]
    assert [word in line for word in ("BTCUSDT", "5,000,000,000 – 5,000,001,999", "open")] == [True] * 3


@pytest.mark.usefixtures("own_settings")
@pytest.mark.parametrize(
    "arguments",
    [["--exchange", "nowhere"], ["--since", "yesterday"], ["repair", "--days", "-1"], ["mend"]],
)
def test_wrong_use_is_a_sentence(arguments: list[str]) -> None:
    answer = CliRunner().invoke(gaps, arguments)
    assert answer.exit_code == 2
    assert "Traceback" not in answer.output


# --- once ---


async def test_a_person_repairs_and_the_exit_code_says_whether_all_is_well(
    start: Start, running: Producer, connection: Connection
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = [n for n in range(1, 101) if n != 50]
    running.trades([*range(1, 21), *range(31, 41), *range(61, 101)])
    running.send(noted(21, 30))
    await stored(connection, 70, 1)
    async with market.serving() as url:
        one = start("--days", "0", BINANCE_SPOT_REST_URL=url)
        code, out = await asyncio.to_thread(ended, one)
        assert (code, out) == (0, "1 gap, 1 repaired, 0 open; 10 trades and candles read again.\n")
        running.send(noted(41, 60))
        await stored(connection, 80, 2)
        two = start("--days", "0", BINANCE_SPOT_REST_URL=url)
        code, out = await asyncio.to_thread(ended, two)
    assert code == 1
    assert "beyond repair" in out or "1 open" in out
    assert numbers_of(connection) == market.trades["BTCUSDT"]


def test_without_servers_it_is_a_sentence(start: Start, tmp_path: Path) -> None:
    code, out = ended(start(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none"))
    assert (code, out) == (2, "")
    said = (tmp_path / "repair.log").read_text()
    assert said.startswith("trade-platform: ")
    assert "Traceback" not in said


# --- as a process ---


async def test_killed_in_the_middle_and_started_again_the_outcome_is_the_same(
    start: Start, running: Producer, connection: Connection
) -> None:
    """Killed at the fifth, eighth … page, again and again, until one gets to the end."""
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 20_021))
    running.trades([*range(1, 11), *range(20_011, 20_021)])
    running.send(noted(11, 20_010))
    await stored(connection, 20, 1)
    aged(connection)
    current: list[subprocess.Popen[str]] = []

    def kill_now_and_then() -> None:
        if len(market.asked) in {2, 5, 9, 14}:
            current[0].kill()

    market.before_answer = kill_now_and_then
    kills = 0
    async with market.serving() as url:
        for _ in range(10):
            current[:] = [start("--days", "0", BINANCE_SPOT_REST_URL=url)]
            code, _ = await asyncio.to_thread(ended, current[0])
            kills += code == -signal.SIGKILL
            if code == 0:
                break
    assert kills == 4
    assert numbers_of(connection) == list(range(1, 20_021))
    rows = connection.execute("SELECT state, repaired_by, reason FROM gap").fetchall()
    assert rows == [("repaired", "rest", "sequence")]


async def test_the_watch_repairs_shows_itself_and_stops_gracefully(
    start: Start, running: Producer, connection: Connection, tmp_path: Path
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 101))
    running.trades([*range(1, 21), *range(31, 101)])
    running.send(noted(21, 30))
    await stored(connection, 90, 1)
    aged(connection)
    async with market.serving() as url:
        watch = start("--watch", BINANCE_SPOT_REST_URL=url)
        await asyncio.to_thread(until, lambda: len(numbers_of(connection)) == 100, "all is held")
        await asyncio.to_thread(until, lambda: _metric(tmp_path, "gaps_repaired_total"), "it is counted")
        assert _metric(tmp_path, "gaps_repaired_total") == {'{source="rest"}': 1.0}
        assert _metric(tmp_path, "gap_repair_records_total") == {"": 10.0}
        health = _get(tmp_path, "/healthz")
        assert json.loads(health) == {"ok": True, "reason": "", "details": {"role": "leader"}}
        watch.send_signal(signal.SIGTERM)
        assert (await asyncio.to_thread(ended, watch))[0] == 0
    assert not (tmp_path / "run" / "repair.json").exists()


def test_a_second_one_stands_by_and_takes_over(start: Start, connection: Connection, tmp_path: Path) -> None:
    first = start("--watch")
    until(lambda: "This process repairs" in _log(tmp_path, "repair"), "the first leads")
    second = start("--watch", name="repair-b")
    until(lambda: "standing by" in _log(tmp_path, "repair-b"), "the second stands by")
    code, _ = ended(start(name="person"))
    assert code == 2
    assert "Another process repairs already" in _log(tmp_path, "person")
    first.kill()
    first.wait()
    until(lambda: "This process repairs" in _log(tmp_path, "repair-b"), "the second leads")
    second.send_signal(signal.SIGTERM)
    assert ended(second)[0] == 0


def test_servers_that_go_away_are_one_sentence_each_and_waited_for(
    start: Start,
    redis_server: Callable[..., Server],
    postgres_server: Callable[..., Server],
    tmp_path: Path,
) -> None:
    from trade_platform.adapters.database import migrate

    postgres, redis = postgres_server("postgres"), redis_server("redis")
    migrate.upgrade(postgres.url)
    with connect(postgres.url, name="test") as connection:
        write_gaps(connection, "binance_spot", [noted(3, 4)])
        connection.execute("INSERT INTO instrument (exchange, symbol) VALUES ('binance_spot', 'BTCUSDT')")
        aged(connection)
    watch = start("--watch", DATABASE_URL=postgres.url, REDIS_URL=redis.url)
    until(lambda: "This process repairs" in _log(tmp_path, "repair"), "it leads")
    postgres.stop()
    until(lambda: "PostgreSQL cannot be used" in _log(tmp_path, "repair"), "the outage is said")
    until(lambda: '"ok":false' in _get(tmp_path, "/healthz"), "its health says so")
    postgres_server("postgres")
    until(lambda: "PostgreSQL can be used again" in _log(tmp_path, "repair"), "it goes on")
    assert _log(tmp_path, "repair").count("PostgreSQL cannot be used") == 1
    watch.send_signal(signal.SIGTERM)
    assert ended(watch)[0] == 0
    assert "Traceback" not in _log(tmp_path, "repair")


def _log(folder: Path, name: str) -> str:
    path = folder / f"{name}.log"
    return path.read_text() if path.exists() else ""


def _get(folder: Path, path: str) -> str:
    run: dict[str, Any] = json.loads((folder / "run" / "repair.json").read_text())
    try:
        with urllib.request.urlopen(run["metrics"] + path, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return str(error.read().decode())


def _metric(folder: Path, name: str) -> dict[str, float]:
    """Labels → value."""
    lines = (line for line in _get(folder, "/metrics").splitlines() if line.startswith(name))
    return {key.removeprefix(name): float(value) for key, value in (line.rsplit(" ", 1) for line in lines)}

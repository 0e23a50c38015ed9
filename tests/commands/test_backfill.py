"""``trade-platform backfill`` as a process: what it says, its exit codes, and what a kill leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.operations.past import SYMBOL, Past, stored_minutes, target_of, told_minutes
from tests.operations.spot import numbers_of, processing
from tests.processors.feeding import STREAM, until
from trade_platform.adapters.database.backfill import one_runs
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.process import CannotStart
from trade_platform.commands.backfill import INTERRUPTED, Asked, days_of
from trade_platform.commands.backfill_screen import (
    MOST_DAYS,
    BackfillBar,
    counts_of,
    draw_outcome,
    in_words,
)
from trade_platform.domain.backfill import DayOutcome, DayState, SourceOfDays
from trade_platform.operations.backfill import Backfilled, Progress

MONDAY = date(2026, 10, 5)


@pytest.fixture
def past() -> Past:
    """By the machine's clock: the command has no other."""
    now = datetime.now(UTC)
    return Past(days=4, today=now.date(), until=round(now.timestamp()) * 1_000_000)


@pytest.fixture
def running(postgres_url: str, redis_url: str) -> Iterator[None]:
    with processing(postgres_url, redis_url, STREAM):
        yield


class Command:
    """The verb against this market, in a process of its own."""

    def __init__(self, past: Past, postgres_url: str, redis_url: str, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "DATABASE_URL": postgres_url,
            "REDIS_URL": redis_url,
            "DATA_FOLDER": str(folder),
            "BINANCE_SPOT_REST_URL": past.url,
        }

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trade_platform", "backfill", *arguments),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        process = await self.start(*arguments)
        said, complained = await process.communicate()
        return process.returncode, said.decode(), complained.decode()


async def test_killed_in_the_middle_it_goes_on_and_reads_nothing_twice(
    running: None, connection: Connection, postgres_url: str, redis_url: str, tmp_path: Path, past: Past
) -> None:
    """``kill -9`` after some pages of the second day: the result is that of an undisturbed run."""
    target_of(connection)
    days = [past.day(-3), past.day(-2)]
    second = past.of(days[1])
    arguments = ("--symbol", SYMBOL, "--from", str(days[0]), "--to", str(days[1]))
    past.page = 40
    hit = asyncio.Event()

    def note(query: dict[str, str]) -> None:
        if int(query.get("fromId", 0)) > second[60]:
            hit.set()

    past.before_answer = note
    async with past.serving():
        command = Command(past, postgres_url, redis_url, tmp_path)
        process = await command.start(*arguments)
        await asyncio.wait_for(hit.wait(), 60)
        process.kill()
        await process.communicate()
        await asyncio.to_thread(until, lambda: not one_runs(connection), "the killed one's lock is free")
        await asyncio.to_thread(until, lambda: second[60] in numbers_of(connection), "what it sent is stored")
        stored = set(numbers_of(connection))
        assert second[-1] not in stored
        past.before_answer = lambda _: None
        past.asked.clear()
        code, said, complained = await command.run(*arguments, "--json")
    assert code == 0, complained
    outcome = json.loads(said)
    assert [one["state"] for one in outcome["days"]] == ["whole", "whole"]
    again = {int(one["fromId"]) for one in past.questions("historicalTrades")}
    assert not again & stored
    read = sum(one["trades"] for one in outcome["days"])
    expected = [past.of(days[0])[0] - 1, *past.of(*days), second[-1] + 1]
    assert numbers_of(connection) == expected
    assert read == len(expected) - len(stored)
    for day in days:
        assert stored_minutes(connection, day) == told_minutes(past, day)


async def test_interrupted_it_says_how_to_go_on(
    running: None, connection: Connection, postgres_url: str, redis_url: str, tmp_path: Path, past: Past
) -> None:
    target_of(connection)
    past.page = 20
    hit = asyncio.Event()
    past.before_answer = lambda query: hit.set() if "fromId" in query else None
    async with past.serving():
        command = Command(past, postgres_url, redis_url, tmp_path)
        process = await command.start("--symbol", SYMBOL, "--from", str(past.day(-3)))
        await asyncio.wait_for(hit.wait(), 60)
        process.send_signal(signal.SIGINT)
        said, complained = await process.communicate()
    assert process.returncode == INTERRUPTED, complained
    assert b"The same command goes on from here." in said
    assert b"Traceback" not in complained


async def test_what_is_not_served_is_named_with_its_day_and_the_exit_code_is_1(
    running: None, connection: Connection, postgres_url: str, redis_url: str, tmp_path: Path, past: Past
) -> None:
    target_of(connection)
    past.left_out = set(past.of(past.day(-2))[4:])
    async with past.serving():
        command = Command(past, postgres_url, redis_url, tmp_path)
        day = str(past.day(-2))
        code, said, _ = await command.run("--symbol", SYMBOL, "--from", day, "--to", day)
    assert code == 1
    assert day in said
    assert "REST leaves out" in said
    assert "1 not served completely" in said


async def test_a_name_that_nobody_knows_is_said_to_be_so(
    connection: Connection, postgres_url: str, redis_url: str, tmp_path: Path, past: Past
) -> None:
    command = Command(past, postgres_url, redis_url, tmp_path)
    code, _, complained = await command.run("--symbol", "BTCUSD", "--from", "2026-10-01")
    assert (code, complained) == (2, "trade-platform: Nothing is known of BTCUSD.\n")
    code, _, complained = await command.run("--from", "2026-10-01")
    assert code == 2
    assert complained == "trade-platform: Nothing is recorded yet: name instruments with --symbol.\n"


def asked(first: date, last: date | None) -> Asked:
    return Asked(first=first, last=last, exchanges=(), symbols=(), source=SourceOfDays.ANY)


def test_the_days_end_yesterday_or_where_that_is_said() -> None:
    day = timedelta(days=1)
    assert days_of(asked(MONDAY, None), MONDAY + 3 * day) == [MONDAY, MONDAY + day, MONDAY + 2 * day]
    assert days_of(asked(MONDAY, MONDAY), MONDAY) == [MONDAY]
    with pytest.raises(CannotStart, match="no day lies between"):
        days_of(asked(MONDAY, None), MONDAY)
    with pytest.raises(CannotStart, match="future"):
        days_of(asked(MONDAY, MONDAY + day), MONDAY)


def outcome(state: DayState, words: str = "", n: int = 0) -> DayOutcome:
    return DayOutcome(
        exchange="deribit",
        symbol="BTC-PERPETUAL",
        day=MONDAY + timedelta(days=n),
        state=state,
        words=words,
        trades=1000,
    )


def test_one_sentence_says_how_it_ended() -> None:
    days = [outcome(DayState.WHOLE), outcome(DayState.OPEN, "nothing traded since")]
    done = Backfilled(asked=2, days=days)
    assert in_words(done) == "1 of 2 days whole, 1 open at the end; 2,000 trades read."
    away = Backfilled(asked=3, days=[outcome(DayState.UNREACHABLE, "no answer")], waited_seconds=12.3)
    assert in_words(away) == (
        "0 of 3 days whole, 1 without an answer; 1,000 trades read, 12 s waited for the exchanges' limits. "
        "2 were not begun: the same command goes on from here."
    )
    stopped = msgspec.structs.replace(away, stopped=True)
    assert in_words(stopped).startswith("Stopped: 0 of 3 days whole")


def test_the_days_that_are_not_whole_are_drawn_with_their_reason() -> None:
    assert draw_outcome(Backfilled(asked=1, days=[outcome(DayState.WHOLE)])) is None
    many = [outcome(DayState.LACKING, "REST leaves out number 5", n) for n in range(MOST_DAYS + 3)]
    table = draw_outcome(Backfilled(asked=len(many), days=many))
    assert table is not None
    paper = Console(width=120, record=True, file=StringIO())
    paper.print(table)
    drawn = paper.export_text()
    assert "2026-10-05" in drawn
    assert "REST leaves out number 5" in drawn
    assert "and 3 more" in drawn


def test_the_bar_counts_days_trades_and_their_rate() -> None:
    far = Progress(days=60, done=3.7, trades=12_000, what="", doing="")
    assert counts_of(far, 10.0) == "3 of 60 days, 12,000 trades, 1,200 a second"
    assert counts_of(far, 0.0).endswith("0 a second")


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_fits_on_a_terminal_and_says_what_is_waited_for(width: int) -> None:
    paper = Console(force_terminal=True, width=width, file=StringIO(), color_system=None)
    far = Progress(
        days=60,
        done=3.5,
        trades=123_456,
        what="binance_spot BTCUSDT 2026-10-03",
        doing="waits 0.5 s for the exchange's limits",
    )
    with BackfillBar(paper) as bar:
        bar.show(far)
    assert isinstance(paper.file, StringIO)
    drawn = paper.file.getvalue()
    assert "3 of 60 days, 123,456 trades" in drawn
    assert f"{far.what} {far.doing}" in drawn
    assert "-:--:--" in drawn, "the time that is left"


def test_without_a_terminal_a_line_is_printed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = Console(file=StringIO(), width=200)
    far = Progress(days=2, done=1.0, trades=10, what="deribit X 2026-10-03", doing="reads trades")
    with BackfillBar(paper) as bar:
        bar.show(far)
        assert isinstance(paper.file, StringIO)
        assert paper.file.getvalue() == ""
        monkeypatch.setattr("trade_platform.commands.backfill_screen.PLAIN_SECONDS", 0.0)
        bar.show(far)
    assert "1 of 2 days, 10 trades" in paper.file.getvalue()
    assert "deribit X 2026-10-03 reads trades" in paper.file.getvalue()

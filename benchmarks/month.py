"""``python -m benchmarks.month``: a month of two simulated exchanges is backfilled, and all of it is proven.

``trade-platform up`` runs beside it as ever; `trade-platform backfill` reads the month as a person would have
it read. Then each day is closed (candles, control totals) and every check of every partition is asked. Exit
code 1 where a day is not whole, a check is red, or a day has other trades than the exchange printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.faults import forget_settings
from benchmarks.observed import Observed
from benchmarks.platform import PROGRAM, REPOSITORY
from benchmarks.stage import RunFailed
from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import span_of
from trade_platform.adapters.database.times import day_of
from trade_platform.adapters.loopback import LoopbackError, get_json
from trade_platform.commands.console import settings_of
from trade_platform.defs.ohlc.checks import CHECKS
from trade_platform.operations.closing import close_day, due_days
from trade_platform.operations.partitions import Listed, recorded_instruments
from trade_platform.repair_desk import desk_from, open_database

DAYS: Final = 30
RECORDED: Final = {
    "binance_spot": ("trade", ("BTCUSDT", "ETHUSDT", "SOLUSDT")),
    "binance_usdm": ("aggregate_trade", ("BTCUSDT", "ETHUSDT", "SOLUSDT")),
}
ASKED: Final = tuple(word for key in RECORDED for word in ("--exchange", key))
START_SECONDS: Final = 120.0
END_SECONDS: Final = 180.0
LOOK_SECONDS: Final = 0.2
MOST_NAMED: Final = 20
_HELD: Final = """
SELECT count(*) FROM trade
WHERE instrument_id = %(instrument)s AND event_time >= %(start)s AND event_time < %(end)s
"""


class Done(msgspec.Struct):
    """What was done, in seconds, and what was wrong."""

    seconds: dict[str, float]
    counts: Counter[str]
    wrong: list[str]


class Month(Observed):
    """A platform in a folder of its own, and the verbs beside it."""

    def __init__(self, folder: Path, days: int) -> None:
        super().__init__(folder / "data")
        selection = folder / "instruments.toml"
        selection.write_text("".join(map(_record, RECORDED)), encoding="utf-8")
        os.environ |= {"DATA_FOLDER": str(self.folder), "INSTRUMENTS_FILE": str(selection)}
        self._log = folder / "up.log"
        asked = [word for key in RECORDED for word in ("--exchange", key)]
        with self._log.open("wb") as log:
            self._up = subprocess.Popen(
                [
                    PROGRAM,
                    "up",
                    "--simulated",
                    "--no-dagster",
                    "--speed",
                    "1",
                    "--history",
                    str(days),
                    *asked,
                ],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Raises RunFailed."""
        deadline = time.monotonic() + START_SECONDS
        while not true():
            if self._up.poll() is not None or time.monotonic() > deadline:
                raise RunFailed(f"{what} in vain; up said:\n{self.said()}")
            time.sleep(LOOK_SECONDS)

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def backfill(self, first: date, last: date) -> dict[str, Any]:
        """As a person does it; raises RunFailed."""
        done = subprocess.run(
            [PROGRAM, "backfill", "--json", "--from", f"{first}", "--to", f"{last}", *ASKED],
            capture_output=True,
            cwd=REPOSITORY,
            check=False,
        )
        if done.returncode not in {0, 1}:
            raise RunFailed(f"The backfill failed: {done.stderr.decode()[-2000:]}")
        return msgspec.json.decode(done.stdout, type=dict[str, Any])

    def end(self) -> bool:
        """Ctrl-C; whether its own proof was good."""
        self._up.send_signal(signal.SIGINT)
        try:
            return self._up.wait(END_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill()

    def kill(self) -> None:
        if self._up.poll() is None:
            self._up.kill()
            self._up.wait()


def main() -> int:
    """0 where all is proven."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(".", maxsplit=1)[0])
    parser.add_argument("--days", type=int, default=DAYS, help=f"of the past (default {DAYS})")
    days = parser.parse_args().days
    forget_settings()
    console = Console(highlight=False)
    try:
        with _month(days) as month:
            done = _prove(month, days)
            if not month.end():
                done.wrong.append(f"the platform's own proof at the end failed: {month.said()}")
    except (RunFailed, LoopbackError) as error:
        console.print(f"{error}")
        return 2
    console.print(_table(done, days))
    console.print(*(done.wrong[:MOST_NAMED] or ["Every day is whole and every check is green."]), sep="\n")
    return 1 if done.wrong else 0


def _prove(month: Month, days: int) -> Done:
    done = Done({}, Counter(), [])
    settings = settings_of(replay=False)
    with closing(open_database(settings, "month")) as connection:
        wanted = sum(len(symbols) for _, symbols in RECORDED.values())
        month.until(
            lambda: len(recorded_instruments(connection)) == wanted, "The instruments were waited for"
        )
        today = day_of(clock_from_text(settings.market_clock).market())
        past = [today - timedelta(days=back) for back in range(days, 0, -1)]
        with _timed(done, "backfill: trades, the exchange's candles, ours"):
            found = month.backfill(past[0], past[-1])
        _judge_days(found, done, days * wanted)
        with _timed(done, "closing: candles again, control totals"):
            asyncio.run(_close(connection, done))
        listed = recorded_instruments(connection)
        for check in CHECKS:
            with _timed(done, f"check {check.asset} {check.name}"):
                _ask(connection, check.ask, f"{check.asset} {check.name}", (listed, past), done)
        with _timed(done, "trades of each day beside the exchange's own count"):
            _count(month, connection, (listed, past), done)
    return done


def _judge_days(found: dict[str, Any], done: Done, asked: int) -> None:
    for one in found["days"]:
        done.counts["trades read"] += one["trades"]
        if one["state"] != "whole":
            done.wrong.append(
                f"{one['exchange']} {one['symbol']} {one['day']} is {one['state']}: {one['words']}"
            )
    done.counts["days"] = len(found["days"])
    if len(found["days"]) != asked:
        done.wrong.append(f"{len(found['days'])} days were looked at, and {asked} asked for")


async def _close(connection: Connection, done: Done) -> None:
    settings = settings_of(replay=False)
    async with desk_from(settings, connection, asyncio.Event()) as desk:
        while due := await desk.ask(due_days, desk.clock.market()):
            for one in due:
                closed = await close_day(desk, one)
                done.counts["minutes compared"] += closed.comparison.counts.compared
                if closed.comparison.unanswered:
                    done.wrong.append(closed.comparison.unanswered)
                    return


def _ask(
    connection: Connection,
    ask: Callable[[Connection, Listed, date, int], Any],
    name: str,
    of: tuple[Sequence[Listed], Sequence[date]],
    done: Done,
) -> None:
    now = clock_from_text(settings_of(replay=False).market_clock).market()
    for one in of[0]:
        for day in of[1]:
            verdict = ask(connection, one, day, now)
            done.counts["checks"] += 1
            if not verdict.good:
                done.wrong.append(f"{name} {day}: {verdict.words} {'; '.join(verdict.examples)}")


def _count(
    month: Month, connection: Connection, of: tuple[Sequence[Listed], Sequence[date]], done: Done
) -> None:
    run = month.run_of("simulator")
    assert run is not None
    for one in of[0]:
        for day in of[1]:
            url = f"{run.urls[one.exchange]['rest']}/simulator/history?symbol={one.symbol}&day={day}"
            printed = get_json(url)["channels"][RECORDED[one.exchange][0]]["count"]
            row = connection.execute(_HELD, span_of(one.instrument_id, day)).fetchone()
            if row != (printed,):
                done.wrong.append(f"{one.exchange} {one.symbol} {day}: {row} trades are held of {printed}")


def _record(exchange: str) -> str:
    channel, symbols = RECORDED[exchange]
    names = ", ".join(f'"{name}"' for name in symbols)
    return f'[[record]]\nexchange = "{exchange}"\nsymbols = [{names}]\nchannels = ["{channel}", "candle"]\n\n'


def _table(done: Done, days: int) -> Table:
    table = Table(box=box.SIMPLE, title=f"{days} days of {len(RECORDED)} simulated exchanges")
    table.add_column("work")
    table.add_column("", justify="right")
    for work, seconds in done.seconds.items():
        table.add_row(work, f"{seconds:.1f} s")
    for what, count in done.counts.items():
        table.add_row(what, f"{count:,}")
    return table


@contextmanager
def _timed(done: Done, work: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    done.seconds[work] = time.monotonic() - began


@contextmanager
def _month(days: int) -> Iterator[Month]:
    folder = Path(tempfile.mkdtemp(prefix="tp-month-"))
    folder.chmod(0o711)
    month = Month(folder, days)
    try:
        month.until(lambda: month.run_of("processor-state") is not None, "The platform was waited for")
        yield month
    finally:
        month.kill()
        subprocess.run([PROGRAM, "down"], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

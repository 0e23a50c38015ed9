"""What a person sees on the terminal: tables rather than words."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Self

from rich.box import SIMPLE
from rich.cells import cached_cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trade_platform.operations.doctor import Finding, Verdict
from trade_platform.operations.instruments import RecordedInstrument
from trade_platform.operations.status import Status
from trade_platform.operations.verify import InstrumentProof, Verification

OTHER_LINES = 25
"""What the screen shows besides instruments."""
PLAIN_SECONDS = 10.0
"""How often a status is printed where the terminal cannot be redrawn."""
MOST_INSTRUMENTS = 40
MOST_FINDINGS = 20


class StatusScreen:
    """The status, redrawn in place on a terminal, printed now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        )
        self._printed = float("-inf")
        self._previous: dict[tuple[str, str, str], tuple[float, int]] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, sentence: str) -> None:
        """One sentence above the table."""
        self._console.print(Text("· " + sentence, style="dim"), soft_wrap=True)

    def show(self, status: Status, note: str = "") -> None:
        """The newest status, with a note of the moment below it."""
        now = time.monotonic()
        most = max(self._console.height - OTHER_LINES, 5) if self._live else MOST_INSTRUMENTS
        picture = draw_status(status, self._rates(status, now), note=note, most=most)
        if self._live:
            self._live.update(picture, refresh=True)
        elif now - self._printed >= PLAIN_SECONDS:
            self._printed = now
            self._console.print(picture)
        cached_cell_len.cache_clear()  # the widths of texts that never come again: a megabyte of them

    def _rates(self, status: Status, now: float) -> dict[tuple[str, str, str], float]:
        """Trades stored per second since the last look."""
        rates: dict[tuple[str, str, str], float] = {}
        for one in status.instruments:
            key = (one.trades.exchange, one.trades.symbol, one.trades.channel)
            since, held = self._previous.get(key, (now, one.trades.held))
            if now > since:
                rates[key] = (one.trades.held - held) / (now - since)
            self._previous[key] = (now, one.trades.held)
        return rates


def draw_status(
    status: Status,
    rates: dict[tuple[str, str, str], float],
    *,
    note: str = "",
    most: int = MOST_INSTRUMENTS,
) -> Group:
    """The whole screen: first how it is, so that a short terminal cuts the instruments and nothing else."""
    return Group(_summary(status, note), _streams(status), _instruments(status, rates, most))


def _instruments(status: Status, rates: dict[tuple[str, str, str], float], most: int) -> Table:
    instruments = status.instruments
    words = {state.exchange: state.status for state in status.states if not state.scope}
    table = _table("Trades held", "instrument")
    for name in ("last price", "held", "per second", "missing", "age"):
        table.add_column(name, justify="right")
    shown = sorted(instruments, key=lambda one: -one.trades.held)[:most]
    shown.sort(key=lambda one: (one.trades.exchange, one.trades.symbol))
    for exchange, rows in groupby(shown, key=lambda one: one.trades.exchange):
        table.add_row(Text(f"{exchange}, {words.get(exchange, 'open')}", style="bold cyan"))
        for one in rows:
            trades = one.trades
            rate = rates.get((trades.exchange, trades.symbol, trades.channel))
            table.add_row(
                f"  {trades.symbol}",
                _plain(one.last_price) or "–",
                f"{trades.held:,}",
                "–" if rate is None else f"{rate:,.1f}",
                _count(trades.missing),
                _age(one.age_seconds),
            )
    if len(instruments) > len(shown):
        table.caption = f"{len(instruments) - len(shown)} more instruments with fewer trades"
    return table


def _plain(price: str) -> str:
    """Without the zeros that an exchange pads with."""
    return price.rstrip("0").rstrip(".") if "." in price else price


def _age(seconds: float | None) -> str:
    """Short: the column is narrow."""
    if seconds is None:
        return "–"
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _table(title: str, first: str) -> Table:
    """Narrow enough for a terminal of eighty columns."""
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _streams(status: Status) -> Table:
    table = _table("From socket to table", "stream")
    for name in ("entries in Redis", "tables are behind"):
        table.add_column(name, justify="right")
    for stream in status.streams:
        table.add_row(stream.stream, f"{stream.length:,}", f"{stream.behind_seconds:.2f} s")
    return table


def _summary(status: Status, note: str) -> Text:
    text = Text()
    if note:
        text.append(f"{note}\n", style="bold")
    well = sum(process.healthy for process in status.processes)
    text.append("● ", style="green").append(f"{well} of {len(status.processes)} processes are well\n")
    for process in status.processes:
        if not process.healthy:
            text.append(f"✗ {process.name}: {process.detail}\n", style="red bold")
    for state in status.states:
        if state.status != "open":
            where = f"{state.exchange} {state.scope}".strip()
            text.append(f"! {where} is {state.status} ({state.reason})\n", style="yellow")
    text.append(
        f"{status.candles:,} complete minutes made of trades, {status.exchange_candles:,} told by exchanges, "
        f"{status.numbers:,} numbers\n"
    )
    ledger = status.ledger
    text.append(f"{status.gaps:,} gaps noted: ")
    text.append(f"{ledger.open:,} open", style="yellow" if ledger.open else "")
    text.append(f", {ledger.repaired:,} repaired, {ledger.unrepairable:,} beyond repair ")
    text.append(f"({ledger.of_trades:,} of trades)", style="red bold" if ledger.of_trades else "")
    text.append(f", {status.dead_letters:,} records refused\n")
    return text


def print_verification(console: Console, verification: Verification) -> None:
    """The proof as a table, every finding named below it, and one sentence of result."""
    table = _table(_title(verification), "instrument")
    for name in ("emitted", "rows", "missing", "duplicated", "altered", "candles"):
        table.add_column(name, justify="right", no_wrap=True)
    for exchange, proofs in groupby(verification.instruments, key=lambda one: one.trades.exchange):
        table.add_row(Text(exchange, style="bold cyan"))
        for one in proofs:
            table.add_row(*_proof_row(one))
    console.print(table)
    for finding in verification.findings[:MOST_FINDINGS]:
        where = f"{finding.exchange} {finding.symbol} {finding.what}"
        console.print(Text(f"{where}: {finding.detail}", style="red"), soft_wrap=True)
    if (more := len(verification.findings) - MOST_FINDINGS) > 0:
        console.print(Text(f"and {more:,} more; `trade-platform verify --json` lists them", style="red"))
    console.print(_result(verification), soft_wrap=True)


def _title(verification: Verification) -> str:
    return (
        "Rows in PostgreSQL against what the simulated exchanges emitted"
        if verification.against == "ledger"
        else "Rows in PostgreSQL against their own coverage"
    )


def _proof_row(one: InstrumentProof) -> list[str | Text]:
    proof = one.trades
    equal, minutes = one.candles - one.candles_different, one.candles + one.candles_missing
    return [
        Text.assemble(("✓ ", "green") if one.good else ("✗ ", "red bold"), proof.symbol),
        f"{proof.expected:,}",
        f"{proof.rows:,}",
        _count(proof.missing),
        _count(proof.duplicated),
        _count(proof.altered + proof.extra),
        Text(f"{equal:,}/{minutes:,}" if minutes else "–", style="green" if equal == minutes else "red bold"),
    ]


def _count(number: int) -> Text:
    return Text(f"{number:,}", style="red bold" if number else "green")


def _result(verification: Verification) -> Text:
    by_exchange: dict[str, int] = defaultdict(int)
    for one in verification.instruments:
        by_exchange[one.trades.exchange] += one.trades.rows
    rows = sum(by_exchange.values())
    if verification.good:
        return Text(
            f"Complete: {rows:,} trades of {len(verification.instruments)} instruments on "
            f"{len(by_exchange)} exchanges; missing 0, duplicated 0.",
            style="bold green",
        )
    if not verification.instruments:
        return Text("Nothing was recorded, so nothing is proven.", style="bold red")
    return Text("NOT complete: what is wrong is named above.", style="bold red")


def print_instruments(console: Console, recorded: Sequence[RecordedInstrument]) -> None:
    """What is recorded, with its cost."""
    table = _table("What is recorded", "instrument")
    table.add_column("kind")
    table.add_column("channels", overflow="fold")
    table.add_column("rows a day", justify="right")
    for exchange, rows in groupby(recorded, key=lambda one: one.exchange):
        table.add_row(Text(exchange, style="bold cyan"))
        for one in rows:
            more = f" + {', '.join(one.unknown)}" if one.unknown else ""
            cost = f"{one.rows_a_day:,}{more}"
            table.add_row(f"  {one.symbol}", one.kind, ", ".join(one.channels), cost)
    console.print(table)
    rows_a_day = sum(one.rows_a_day for one in recorded)
    console.print(f"{len(recorded)} instruments, {rows_a_day:,} rows a day at most.")
    if any(one.unknown for one in recorded):
        console.print("What stands behind a + was not recorded long enough to tell.", style="dim")


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """What the doctor saw."""
    table = Table(header_style="bold")
    for name in ("", "what", "seen", "what to do"):
        table.add_column(name, overflow="fold")
    marks = {Verdict.GOOD: "[green]✓[/]", Verdict.WARNING: "[yellow]![/]", Verdict.BAD: "[red]✗[/]"}
    for finding in findings:
        table.add_row(marks[finding.verdict], finding.what, Text(finding.seen), Text(finding.remedy))
    console.print(table)

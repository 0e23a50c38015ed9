"""Reconciliations and statements as a person sees them on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from rich.text import Text

from trade_platform.adapters.database.times import moment
from trade_platform.domain.difference import in_text
from trade_platform.domain.reconciliation import State
from trade_platform.domain.statement import AssetLine
from trade_platform.operations.reconcile import Reconciled
from trade_platform.operations.reconciling import Standing
from trade_platform.operations.statement import AccountStatement, Statement, totals

MOST = 40
"""Rows of a table of differences."""
_COLOURS = {"ok": "green", "differs": "red", "unknown": "yellow", "not_served": "dim"}
_SEVERITIES = {"critical": "red", "major": "yellow", "minor": "dim"}


def draw_reconciled(done: Reconciled) -> Group:
    """One run: how each subject stands, what differed, what was not answered."""
    parts: list[Table | Text] = [_head(done)]
    if done.raised:
        table = _table("difference", "ours", "theirs", "USD", "", "what became of it")
        for one in done.raised[:MOST]:
            difference = one.difference
            table.add_row(
                f"{difference.kind.value} {difference.subject.value} {difference.key} {difference.field}",
                difference.ours or "–",
                difference.theirs or "–",
                _money(difference.money),
                Text(difference.severity.value, style=_SEVERITIES[difference.severity.value]),
                f"{one.state}: {one.reason}" if one.reason else one.state,
            )
        parts.append(table)
    parts += [Text(word, style="yellow") for word in done.words]
    return Group(*parts)


def _head(done: Reconciled) -> Text:
    text = Text.assemble((done.account, "bold"), f"  {done.exchange}  ")
    for subject, state in done.states.items():
        text.append(f"{subject.value.replace('_', ' ')} ")
        mark = "✓" if state is State.OK else state.value.replace("_", " ")
        text.append(f"{mark}  ", style=_COLOURS[state.value])
    counts = f"{done.compared:,} rows compared"
    if done.skipped:
        counts += f", {done.skipped} just changing"
    if done.ledger:
        counts += f", {done.ledger} new rows of the ledger"
    return text.append(f"\n{counts}; {len(done.raised)} differed, {done.healed} healed", style="dim")


def draw_standing(one: Standing) -> Group:
    """What is open of an account, and what waits to be matched."""
    when = "never compared" if one.run is None else f"compared {moment(one.run.at):%Y-%m-%d %H:%M:%S} UTC"
    parts: list[Table | Text] = [Text.assemble((one.account, "bold"), f"  {one.exchange}  {when}")]
    if one.discrepancies:
        table = _table("discrepancy", "difference", "ours", "theirs", "USD", "", "state")
        for row in one.discrepancies[:MOST]:
            table.add_row(
                str(row.discrepancy_id),
                f"{row.kind} {row.subject} {row.key} {row.field}",
                row.ours or "–",
                row.theirs or "–",
                _money(row.money),
                Text(row.severity, style=_SEVERITIES[row.severity]),
                row.state,
            )
        parts.append(table)
    if one.suspended:
        table = _table("in suspense", "amount", "since (UTC)", "why")
        for item in one.suspended[:MOST]:
            amount = f"{in_text(item.amount)} {item.asset}"
            table.add_row(item.key, amount, f"{moment(item.since):%Y-%m-%d %H:%M:%S}", item.reason)
        parts.append(table)
    if not one.discrepancies and not one.suspended:
        parts.append(Text("Nothing is open.", style="green"))
    return Group(*parts)


def draw_statement(made: Statement) -> Group:
    """All accounts together, then each."""
    sums = totals(made)
    head = Text.assemble(
        (f"{sums['equity']:,.2f} USD", "bold"),
        f"  {moment(made.since):%Y-%m-%d %H:%M} to {moment(made.until):%Y-%m-%d %H:%M} UTC   profit ",
        (f"{sums['profit']:+,.2f}", "green" if sums["profit"] >= 0 else "red"),
        f"   fees {sums['fees']:+,.2f}   funding {sums['funding']:+,.2f}   moved {sums['transfers']:+,.2f}",
    )
    parts: list[Group | Text] = [head, *(_account(one) for one in made.accounts)]
    if made.unpriced:
        parts.append(
            Text(
                f"Nothing trades {', '.join(made.unpriced)} against dollars here: not counted.",
                style="yellow",
            )
        )
    return Group(*parts)


def _account(one: AccountStatement) -> Group:
    margin = "" if one.margin is None else f"   margin ratio {one.margin:.2%}"
    parts: list[Table | Text] = [Text.assemble(("\n" + one.account, "bold"), f"  {one.exchange}{margin}")]
    parts.append(_assets(one.lines))
    if any(row.label for row in one.labels):
        table = _table("strategy", "fills", "volume USD", "realised USD", "fees USD")
        for row in one.labels:
            label = row.label or "(none)"
            table.add_row(
                label, f"{row.fills:,}", f"{row.volume:,.0f}", f"{row.realized:+,.2f}", f"{row.fees:,.2f}"
            )
        parts.append(table)
    if one.risks:
        table = _table("position", "quantity", "mark", "liquidated at", "away")
        for risk in one.risks:
            away = "–" if risk.distance is None else f"{risk.distance:.1%}"
            name = f"{risk.symbol} {risk.position_side}".strip()
            numbers = (risk.quantity, risk.mark_price, risk.liquidation_price)
            table.add_row(name, *(in_text(value) or "–" for value in numbers), away)
        parts.append(table)
    return Group(*parts)


def _assets(lines: Sequence[AssetLine]) -> Table:
    names = ("opening", "trading", "fees", "funding", "transfers", "other", "rest", "closing", "equity")
    shown = [name for name in names if name in ("opening", "closing") or any(getattr(x, name) for x in lines)]
    table = _table("asset", *shown, "USD")
    for line in lines:
        amounts = (in_text(getattr(line, name)) or "" for name in shown)
        table.add_row(line.asset, *amounts, _money(line.worth))
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first)
    for name in columns:
        numeric = name not in ("ours", "theirs", "", "what became of it", "difference", "state", "why")
        table.add_column(name, justify="right" if numeric else "left")
    return table


def _money(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:,.2f}"

"""``statement`` as a person uses it; its sums are tested in operations."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.domain.account_week import week_of
from tests.operations.accounting import keep, opened
from tests.pictures.looking import decoded
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.process import CannotStart
from trade_platform.commands.statement import account_statement

Invoke = Callable[..., Result]
WEEK = ("--from", "2026-09-21", "--to", "2026-09-28")


@pytest.fixture
def invoke(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(account_statement, arguments)

    return invoke


def test_a_week_is_a_table_a_picture_and_rows_for_taxes(
    connection: Connection, invoke: Invoke, tmp_path: Path
) -> None:
    week = week_of("deribit", 1, orders=30)
    keep(connection, opened(connection, week), week.events)
    plot, table = tmp_path / "equity.png", tmp_path / "taxes.csv"
    outcome = invoke(*WEEK, "--plot", str(plot), "--csv", str(table))
    assert outcome.exit_code == 0, outcome.output
    for part in ("USD", "profit", "fees", "operator.main", "alpha", "BTC", "closing"):
        assert part in outcome.output
    assert decoded(plot.read_bytes())
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["kind"] == "trade" for row in rows) == len(week.truth.fills)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert all(row["time"].endswith("Z") and row["usd"] for row in rows)
    told = msgspec.json.decode(invoke("operator.main", *WEEK, "--json").stdout)
    assert {line["asset"] for line in told["accounts"][0]["lines"]} == {"BTC", "ETH"}


def test_nothing_known_exits_1_and_no_account_says_what_to_do(connection: Connection, invoke: Invoke) -> None:
    outcome = invoke()
    assert isinstance(outcome.exception, CannotStart)
    assert "account add" in str(outcome.exception)
    opened(connection, week_of("deribit", 1, orders=2))
    assert invoke(*WEEK).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--plot", "equity.pdf"), "ends with .png or .svg"),
        (("--last", "3", "--from", "2026-09-21"), "exclude each other"),
        (("--from", "2026-09-21", "--to", "2026-09-20"), "ends before it begins"),
        (("--from", "yesterday"), "is no moment"),
    ],
)
def test_wrong_use_is_one_sentence(invoke: Invoke, arguments: tuple[str, ...], words: str) -> None:
    outcome = invoke(*arguments)
    assert outcome.exit_code == 2
    assert words in " ".join(outcome.output.split())

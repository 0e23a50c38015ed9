"""``reconcile`` as a person uses it; what it finds is tested in operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.adapters.database.booking import ACCOUNT, NOON, add_account, as_owner
from tests.adapters.database.test_reconciliations import raised, run
from tests.processors.feeding import until
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import (
    discrepancies,
    last_run,
    save_raised,
    save_run,
    save_suspense,
)
from trade_platform.adapters.process import CannotStart
from trade_platform.commands.reconcile import moment_of, reconcile_accounts
from trade_platform.commands.reconcile_watch import watch
from trade_platform.domain.suspense import Suspended
from trade_platform.operations.reconciling import standing_of
from trade_platform.reconcile_desk import chosen_accounts, open_books
from trade_platform.settings import Settings

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "220")

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(reconcile_accounts, arguments)

    return invoke


def test_without_an_account_it_says_how_to_add_one(invoke: Invoke) -> None:
    outcome = invoke()
    assert isinstance(outcome.exception, CannotStart)
    assert "account add" in str(outcome.exception)


def test_questions_without_an_answer_are_said_and_exit_1(connection: Connection, invoke: Invoke) -> None:
    """There is no vault here that could sign them."""
    add_account(connection)
    outcome = invoke(ACCOUNT)
    assert outcome.exit_code == 1
    assert ACCOUNT in outcome.output
    assert "balances unknown" in outcome.output
    assert "0 rows compared" in outcome.output
    told = msgspec.json.decode(invoke(ACCOUNT, "--json").stdout)
    assert told[0]["states"]["fills"] in ("unknown", "not_served")


def test_what_is_open_is_shown_and_can_be_explained(connection: Connection, invoke: Invoke) -> None:
    owner = add_account(connection)
    waiting = Suspended(key="fill|1", asset="BTC", amount=Decimal(2), reason="odd", since=NOON)
    with as_owner(connection, owner):
        save_run(connection, owner, run())
        save_raised(connection, owner, [raised()], NOON)
        save_suspense(connection, owner, [waiting], run(), NOON)
    outcome = invoke("--show")
    assert outcome.exit_code == 1
    for part in ("mismatched balances BTC total", "12.50", "major", "fill|1", "odd", "2026-09"):
        assert part in outcome.output
    identity = str(raised().identity)
    assert invoke(ACCOUNT, "--explain", identity).exit_code == 2
    assert invoke(ACCOUNT, "--explain", identity, "--reason", "as it should be").exit_code == 0
    with as_owner(connection, owner):
        assert discrepancies(connection, owner) == []
    again = invoke(ACCOUNT, "--explain", identity, "--reason", "again")
    assert "No discrepancy" in str(again.exception)
    assert invoke("--show").exit_code == 0


def test_nothing_open_is_said(connection: Connection, invoke: Invoke) -> None:
    add_account(connection)
    outcome = invoke("--show")
    assert (outcome.exit_code, "Nothing is open." in outcome.output) == (0, True)
    assert "never compared" in outcome.output


def test_a_moment_is_utc_unless_it_says_otherwise() -> None:
    assert moment_of("2026-11-22") == moment_of("2026-11-22T02:00+02:00")
    with pytest.raises(click.UsageError, match="is no moment"):
        moment_of("yesterday")


async def test_the_watch_compares_what_is_due_and_ends_when_it_is_told(
    connection: Connection, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    owner = add_account(connection)
    settings = Settings(database_url=postgres_url, redis_url=redis_url, data_folder=tmp_path)
    stop = asyncio.Event()
    with closing(open_books(settings, "test")) as books:
        watching = asyncio.create_task(watch(settings, books, (), 3600, stop))
        await asyncio.to_thread(until, lambda: _compared(connection, owner), "it was compared")
        stop.set()
        await watching
        (account,) = chosen_accounts(books)
        standing = standing_of(books, account)
    assert standing.run is not None
    assert standing.run.occasion == "first"
    assert standing.occasion(standing.run.at + 1, 3600) == ""
    assert standing.occasion(standing.run.at + 3_600_000_000, 3600) == "timer"
    assert not standing.is_stale(standing.run.at, 60)
    assert standing.is_stale(standing.run.at + 60_000_001, 60)


def _compared(connection: Connection, owner: Owner) -> bool:
    with as_owner(connection, owner):
        return last_run(connection, owner) is not None

"""What a reconciliation works with, put together from settings."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.adapters.database.booking import ACCOUNT, add_account
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.process import CannotStart
from trade_platform.domain.difference import Subject
from trade_platform.domain.reconciliation import State
from trade_platform.operations.reconcile import reconcile
from trade_platform.reconcile_desk import account_desk, chosen_accounts, open_books
from trade_platform.settings import Settings


@pytest.fixture
def settings(postgres_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=postgres_url, redis_url=redis_url, data_folder=tmp_path)


def test_books_are_opened_by_who_cannot_pass_row_level_security(
    connection: Connection, settings: Settings
) -> None:
    add_account(connection)
    with closing(open_books(settings, "test")) as books:
        row = books.execute("SELECT current_user").fetchone()
        assert row == ("trade_platform_accounts",)
        assert books.execute("SELECT * FROM account").fetchall() == []


def test_accounts_are_those_that_are_active_or_those_that_are_named(
    connection: Connection, settings: Settings
) -> None:
    add_account(connection)
    add_account(connection, "operator.old")
    connection.execute("UPDATE account SET state = 'revoked' WHERE key = 'operator.old'")
    with closing(open_books(settings, "test")) as books:
        assert [one.key for one in chosen_accounts(books)] == [ACCOUNT]
        assert [one.key for one in chosen_accounts(books, ["operator.old"])] == ["operator.old"]
        with pytest.raises(CannotStart, match=r"There is no account a\.b"):
            chosen_accounts(books, ["a.b"])


@pytest.mark.parametrize("exchange", ["deribit", "binance_usdm", "binance_spot"])
async def test_without_a_vault_everything_that_must_be_signed_is_unknown(
    connection: Connection, settings: Settings, exchange: str
) -> None:
    add_account(connection, exchange=exchange)
    with closing(open_books(settings, "test")) as books:
        (account,) = chosen_accounts(books)
        async with account_desk(settings, books, account) as desk:
            done = await reconcile(desk)
    assert done.states[Subject.BALANCES] is done.states[Subject.OPEN_ORDERS] is State.UNKNOWN
    assert (list(done.raised), done.compared) == ([], 0)
    assert "vault" in " ".join(done.words)


async def test_without_redis_nothing_can_be_added(connection: Connection, settings: Settings) -> None:
    add_account(connection)
    lacking = Settings(database_url=settings.database_url, data_folder=settings.data_folder)
    with closing(open_books(settings, "test")) as books:
        (account,) = chosen_accounts(books)
        with pytest.raises(CannotStart, match="REDIS_URL"):
            async with account_desk(lacking, books, account):
                pass

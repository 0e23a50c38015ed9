"""When an account is to be compared by itself."""

from __future__ import annotations

import pytest

from tests.adapters.database.booking import NOON, add_account, as_owner, put
from tests.adapters.database.test_reconciliations import raised, run
from trade_platform.adapters.database.accounts import account_of
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import save_raised, save_run
from trade_platform.adapters.database.roles import ACCOUNTS, become
from trade_platform.domain.accounts import Blindness
from trade_platform.domain.model import MINUTE
from trade_platform.operations.reconciling import Standing, standing_of

EVERY = 300.0


@pytest.fixture
def owner(connection: Connection) -> Owner:
    return add_account(connection)


def standing(connection: Connection) -> Standing:
    account = account_of(connection, "operator.main")
    assert account is not None
    become(connection, ACCOUNTS)
    return standing_of(connection, account)


def compared(connection: Connection, owner: Owner) -> None:
    with as_owner(connection, owner):
        save_run(connection, owner, run())


def test_one_that_nobody_compared_comes_first(connection: Connection, owner: Owner) -> None:
    one = standing(connection)
    assert one.occasion(NOON, EVERY) == "first"
    assert one.is_stale(NOON, EVERY)


def test_one_that_agreed_is_compared_again_when_its_time_has_come(
    connection: Connection, owner: Owner
) -> None:
    compared(connection, owner)
    one = standing(connection)
    assert [one.occasion(NOON + minutes * MINUTE, EVERY) for minutes in (0, 4, 5)] == ["", "", "timer"]
    assert [one.is_stale(NOON + minutes * MINUTE, EVERY) for minutes in (5, 6)] == [False, True]


@pytest.mark.parametrize(("until", "stale"), [(NOON + MINUTE, False), (None, True)])
def test_one_that_was_blind_since_is_compared_at_once(
    connection: Connection, owner: Owner, until: int | None, stale: bool
) -> None:
    compared(connection, owner)
    put(connection, owner, Blindness(NOON, "the connection broke", NOON + MINUTE, until))
    one = standing(connection)
    assert one.occasion(NOON + MINUTE, EVERY) == "blindness"
    assert one.is_stale(NOON + MINUTE, EVERY) is stale


@pytest.mark.parametrize(("state", "occasion"), [("open", "discrepancy"), ("manual", ""), ("healed", "")])
def test_one_that_differs_is_looked_at_again_unless_a_person_must(
    connection: Connection, owner: Owner, state: str, occasion: str
) -> None:
    compared(connection, owner)
    with as_owner(connection, owner):
        save_raised(connection, owner, [raised(state=state)], NOON)
    one = standing(connection)
    assert one.occasion(NOON + 2 * MINUTE, EVERY) == occasion
    assert one.occasion(NOON, EVERY) == ""

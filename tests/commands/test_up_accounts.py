from __future__ import annotations

import stat
from pathlib import Path

import msgspec

from streamers.simulator.accounts.accounts_file import read_accounts
from trade_platform.commands.up_accounts import (
    SIMULATED,
    accounts_to_hear,
    enrol_simulated,
    simulated_accounts,
)
from trade_platform.settings import Settings
from trade_platform.vault.keeper import Keeper
from trade_platform.vault.keys import keys_of

EXCHANGES = ("binance_spot", "binance_usdm", "deribit")


def test_the_simulator_takes_the_accounts_that_are_made(tmp_path: Path) -> None:
    path, accounts = simulated_accounts(tmp_path, EXCHANGES)
    assert [(one.exchange, one.name, one.secret) for one in read_accounts(path)] == [
        (one.exchange, one.name, one.secret) for one in accounts
    ]
    assert [one.exchange for one in accounts] == ["deribit", "binance_usdm"]
    assert len({one.secret for one in accounts}) == 2


def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    path, _ = simulated_accounts(tmp_path, EXCHANGES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_accounts_trade_on_in_the_next_run(tmp_path: Path) -> None:
    assert simulated_accounts(tmp_path, EXCHANGES) == simulated_accounts(tmp_path, EXCHANGES)
    assert [one.exchange for one in simulated_accounts(tmp_path, ["binance_spot"])[1]] == ["binance_spot"]


def test_every_simulated_exchange_has_something_to_trade_with() -> None:
    assert SIMULATED.keys() == set(EXCHANGES)


def settings(folder: Path, url: str) -> Settings:
    return Settings(data_folder=folder, database_url=url)


def test_they_are_in_the_vault_and_can_sign(postgres_url: str, tmp_path: Path) -> None:
    given = settings(tmp_path, postgres_url)
    path, heard = accounts_to_hear(given, EXCHANGES, simulated=True)
    assert heard == (
        ("deribit", "operator.simulated-deribit"),
        ("binance_usdm", "operator.simulated-binance-usdm"),
    )
    assert path is not None
    keys, _ = keys_of("", tmp_path)
    with Keeper(postgres_url, keys) as keeper:
        for one, spec in zip(heard, read_accounts(path), strict=True):
            assert spec.signed("text", keeper.sign(one[1], "test", "text", "a test"))
    assert accounts_to_hear(given, EXCHANGES, simulated=True) == (path, heard), "again: nothing to do"


def test_a_key_that_was_made_anew_takes_the_old_one_s_place(postgres_url: str, tmp_path: Path) -> None:
    """The data folder's file was lost, the database was not."""
    accounts_to_hear(settings(tmp_path, postgres_url), EXCHANGES, simulated=True)
    keys, _ = keys_of("", tmp_path)
    _, others = simulated_accounts(tmp_path / "another", EXCHANGES)
    with Keeper(postgres_url, keys) as keeper:
        enrol_simulated(keeper, others)
        assert {told.key_id for told in keeper.accounts()} == {one.key_id for one in others}


def test_real_exchanges_are_heard_for_the_vault_s_own_accounts(postgres_url: str, tmp_path: Path) -> None:
    given = settings(tmp_path, postgres_url)
    assert accounts_to_hear(given, EXCHANGES, simulated=False) == (None, ())
    accounts_to_hear(given, EXCHANGES, simulated=True)
    _, heard = accounts_to_hear(given, ["deribit"], simulated=False)
    assert heard == (("deribit", "operator.simulated-deribit"),)


def test_what_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    path, before = simulated_accounts(tmp_path, ["deribit"])
    path.write_text("{torn")
    _, after = simulated_accounts(tmp_path, ["deribit"])
    assert msgspec.json.decode(path.read_bytes()) != before
    assert after != before

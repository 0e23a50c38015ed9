from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import psycopg.conninfo
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trade_platform.adapters.database import tenants
from trade_platform.adapters.database.connection import Connection
from trade_platform.exchanges.account import Algorithm, Permissions
from trade_platform.vault.enrolment import (
    BATCH,
    Enrolment,
    check_key,
    check_room,
    enrol,
    note_permissions,
    replace,
    revoke,
    rewrap_all,
    used_keys,
)
from trade_platform.vault.keeper import Keeper, Refused
from trade_platform.vault.keyring import add
from trade_platform.vault.keys import Keys
from trade_platform.vault.secret import Secret
from trade_platform.vault.signing import generate

Take = Callable[..., None]


@pytest.mark.parametrize(
    "key", ["main", "operator.", ".main", "Operator.main", "a.b.c", "a.b\n", "a.-b", "ä.b"]
)
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(Refused, match="is no account's key"):
        check_key(key)


def test_the_name_of_a_lane_s_second_slot_is_no_account_s() -> None:
    with pytest.raises(Refused, match="second slot of a lane"):
        check_key("operator.main-b")


def test_an_ed25519_key_is_kept_with_its_public_half(keeper: Keeper, connection: Connection) -> None:
    secret = generate()
    enrolment = Enrolment(
        key_id="key", algorithm=Algorithm.ED25519, secret=secret, permissions=Permissions(read=True)
    )
    enrol(keeper, "operator.spot", "binance_spot", enrolment, actor="test", testnet=True)
    told = keeper.describe("operator.spot")
    assert (told.algorithm, told.testnet) == (Algorithm.ED25519, True)
    [(public, read, checked)] = connection.execute(
        "SELECT public_key, permissions->>'read', checked_at IS NOT NULL FROM credential"
    ).fetchall()
    assert (read, checked) == ("true", True)
    signature = base64.b64decode(keeper.sign("operator.spot", "login", "text", "test"))
    Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(signature, b"text")


def test_a_second_account_of_the_name_and_one_too_many_are_refused(
    keeper: Keeper, take: Take, connection: Connection, alice: str
) -> None:
    tenants.set_quotas(connection, "alice", accounts=1, signatures_per_minute=None)
    take("alice.main")
    with pytest.raises(Refused, match="already: `trade-platform account rotate"):
        take("alice.main")
    with pytest.raises(Refused, match="has 1 accounts, which is its quota"):
        check_room(keeper, "alice.second")
    with pytest.raises(Refused, match="There is no tenant 'bob'"):
        take("bob.main")
    tenants.invite(connection, "bob", days=1)
    with pytest.raises(Refused, match="bob is invited"):
        take("bob.main")


def test_a_replaced_key_s_secret_is_destroyed(keeper: Keeper, take: Take, connection: Connection) -> None:
    take("operator.main", secret="old", key_id="old")
    before = keeper.sign("operator.main", "login", "text", "test")
    new = Enrolment(key_id="new", algorithm=Algorithm.HMAC_SHA256, secret=Secret("new"))
    replace(keeper, "operator.main", new, actor="test")
    assert keeper.sign("operator.main", "login", "text", "test") != before
    assert keeper.describe("operator.main").key_id == "new"
    rows = connection.execute(
        "SELECT key_id, state, version, length(sealed_secret) FROM credential ORDER BY version"
    ).fetchall()
    assert [row[:3] for row in rows] == [("old", "revoked", 1), ("new", "active", 2)]
    assert [row[3] > 0 for row in rows] == [False, True]


def test_a_revoked_account_signs_no_more_and_may_come_back(
    keeper: Keeper, take: Take, connection: Connection
) -> None:
    take("operator.main", secret="one")
    revoke(keeper, "operator.main", actor="test")
    with pytest.raises(Refused, match="was revoked"):
        keeper.sign("operator.main", "login", "text", "test")
    assert keeper.accounts() == []
    [(wrapped, sealed)] = connection.execute("SELECT wrapped_key, sealed_secret FROM credential").fetchall()
    assert (wrapped, sealed) == (b"", b"")
    with pytest.raises(Refused, match="was an account of deribit"):
        take("operator.main", exchange="binance_spot")
    take("operator.main", secret="two")
    assert keeper.sign("operator.main", "login", "text", "test")
    purposes = connection.execute("SELECT purpose FROM secret_access ORDER BY n").fetchall()
    assert [one for (one,) in purposes if one != "login"] == [
        "account added",
        "account revoked",
        "account added",
    ]


def test_what_the_exchange_says_of_a_key_is_kept(keeper: Keeper, take: Take, connection: Connection) -> None:
    take("operator.main")
    note_permissions(keeper, "operator.main", Permissions(read=True, trade=False, withdraw=False))
    assert connection.execute("SELECT permissions->>'trade' FROM credential").fetchall() == [("false",)]


def test_keys_are_rotated_while_the_vault_signs(
    keeper: Keeper, take: Take, postgres_url: str, key_folder: Path, connection: Connection, alice: str
) -> None:
    """The running vault read its keys before the new one came, and is never restarted."""
    take("operator.main")
    take("alice.main")
    before = keeper.sign("operator.main", "login", "text", "test")
    sealed = connection.execute("SELECT sealed_secret FROM credential ORDER BY 1").fetchall()
    add(key_folder, "2027").chmod(0o400)
    with Keeper(postgres_url, Keys(key_folder, strict=True)) as other:
        assert used_keys(other) == {"2026": 2}
        assert rewrap_all(other) == 2
        assert rewrap_all(other) == 0
        assert used_keys(other) == {"2027": 2}
    assert keeper.sign("operator.main", "login", "text", "test") == before
    (key_folder / "2026").unlink()
    with Keeper(postgres_url, Keys(key_folder, strict=True)) as third:
        assert third.sign("alice.main", "login", "text", "test")
    assert connection.execute("SELECT sealed_secret FROM credential ORDER BY 1").fetchall() == sealed


def test_a_rotation_that_was_killed_goes_on(
    keeper: Keeper, take: Take, postgres_url: str, key_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trade_platform.vault.enrolment.BATCH", 2)
    assert BATCH > 2
    for number in range(5):
        take(f"operator.a{number}")
    add(key_folder, "2027").chmod(0o400)
    with Keeper(postgres_url, Keys(key_folder, strict=True)) as other:
        with monkeypatch.context() as patch:
            patch.setattr("trade_platform.vault.enrolment.store.store_rewrapped", _dies_at(3))
            with pytest.raises(KeyboardInterrupt):
                rewrap_all(other)
        assert used_keys(other) == {"2026": 3, "2027": 2}
        assert rewrap_all(other) == 3
        assert all(other.sign(f"operator.a{number}", "login", "text", "test") for number in range(5))


def test_a_restored_backup_opens_with_the_key_from_escrow_and_not_without(
    keeper: Keeper, take: Take, postgres_url: str, admin_url: str, tmp_path: Path, key_folder: Path
) -> None:
    """The drill of docs/security.md: another machine, the backup, and a key typed from paper."""
    take("operator.main")
    before = keeper.sign("operator.main", "login", "text", "test")
    paper = (key_folder / "2026").read_text()
    keeper.close()
    with restored(admin_url, postgres_url) as copy:
        drill = tmp_path / "drill"
        drill.mkdir()
        add(drill, "2026")  # the thief's: a key of that name, and not the one
        with Keeper(copy, Keys(drill, strict=False)) as thief, pytest.raises(Refused, match="does not open"):
            thief.sign("operator.main", "login", "text", "thief")
        (drill / "2026").write_text(paper)
        with Keeper(copy, Keys(drill, strict=False)) as owner:
            assert owner.sign("operator.main", "login", "text", "drill") == before


@contextmanager
def restored(admin_url: str, url: str) -> Iterator[str]:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    copy = f"{name}_restored"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
        try:
            yield psycopg.conninfo.make_conninfo(url, dbname=copy)
        finally:
            connection.execute(f"DROP DATABASE {copy} WITH (FORCE)")


def _dies_at(call: int) -> Callable[..., None]:
    from trade_platform.vault.store import store_rewrapped

    calls = []

    def die(*arguments: object) -> None:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        store_rewrapped(*arguments)  # type: ignore[arg-type]

    return die

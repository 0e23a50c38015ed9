from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.commands.private_exchange import GOOD, Door, PrivateSide, opened
from trade_platform.adapters.database.connection import Connection
from trade_platform.cli import cli
from trade_platform.exchanges.account import Permissions
from trade_platform.vault.keyring import add

SECRET = "canary-5b1c9e"


@pytest.fixture
def door(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The exchange; and the settings under which commands find it."""
    with opened() as door:
        monkeypatch.setenv("DATABASE_URL", postgres_url)
        monkeypatch.setenv("DATA_FOLDER", str(tmp_path / "data"))
        monkeypatch.setenv("DERIBIT_REST_URL", door.url)
        for module in ("account", "account_desk"):
            monkeypatch.setattr(
                f"trade_platform.commands.{module}.account_exchange", lambda key: PrivateSide()
            )
        yield door


@pytest.fixture
def run() -> Iterator[Callable[..., Result]]:
    """A verb of accounts; ``secret`` comes through a pipe, as a program hands it in."""
    descriptors: list[int] = []

    def run(*arguments: str, secret: str | None = None, typed: str | None = None) -> Result:
        if secret is not None:
            reading, writing = os.pipe()
            descriptors.append(reading)
            os.write(writing, secret.encode())
            os.close(writing)
            arguments = (*arguments, "--secret-fd", str(reading))
        return CliRunner().invoke(cli, ["account", *arguments], input=typed)

    yield run
    for descriptor in descriptors:
        os.close(descriptor)


ADD = ("add", "operator.main", "--exchange", "deribit")


def test_a_key_that_only_reads_is_taken(
    door: Door, run: Callable[..., Result], connection: Connection
) -> None:
    outcome = run(*ADD, "--key-id", "AMANDA", secret=f"{SECRET}\n")
    assert outcome.exit_code == 0, outcome.output
    assert "operator.main is in the vault." in outcome.stdout
    assert "A key for the secrets of accounts was made" in outcome.stderr
    assert SECRET not in outcome.output
    [asked, _] = door.asked
    signed = f"/permissions AMANDA {asked['at']} {asked['nonce']}"
    assert asked["signature"] == hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    listed = run("list")
    assert "operator.main" in listed.stdout
    assert "AMANDA" in listed.stdout
    [told] = msgspec.json.decode(run("list", "--json").stdout)
    assert (told["account"], told["exchange"], told["algorithm"]) == (
        "operator.main",
        "deribit",
        "hmac_sha256",
    )


def test_a_key_that_could_withdraw_is_refused_and_not_stored(
    door: Door, run: Callable[..., Result], connection: Connection
) -> None:
    door.permissions = msgspec.structs.replace(GOOD, withdraw=True)
    outcome = run(*ADD, "--key-id", "AMANDA", secret=SECRET)
    assert outcome.exit_code != 0
    assert "may withdraw or transfer" in str(outcome.exception)
    assert connection.execute("SELECT count(*) FROM credential").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM account").fetchone() == (0,)


def test_a_key_that_could_trade_from_anywhere_is_warned_of(door: Door, run: Callable[..., Result]) -> None:
    door.permissions = Permissions(read=True, trade=True, withdraw=False, ip_restricted=False)
    outcome = run(*ADD, "--key-id", "AMANDA", secret=SECRET)
    assert outcome.exit_code == 0
    assert "Warning: This key may trade" in outcome.stderr
    assert "Warning: This key works from any address" in outcome.stderr


def test_a_key_that_the_exchange_does_not_take_is_not_stored(
    door: Door, run: Callable[..., Result], connection: Connection
) -> None:
    door.status = 401
    outcome = run(*ADD, "--key-id", "AMANDA", secret=SECRET)
    assert "invalid_credentials" in str(outcome.exception)
    assert SECRET not in outcome.output + repr(outcome.exception)
    assert connection.execute("SELECT count(*) FROM credential").fetchone() == (0,)


def test_a_test_network_that_does_not_say_it_is_warned_of(door: Door, run: Callable[..., Result]) -> None:
    door.status = 404
    outcome = run(*ADD, "--testnet", "--key-id", "AMANDA", secret=SECRET)
    assert outcome.exit_code == 0, outcome.output
    assert "Warning: The test network does not say what this key may do" in outcome.stderr
    assert "test" in run("list").stdout


def test_another_question_tells_what_the_first_left_out(door: Door, run: Callable[..., Result]) -> None:
    door.permissions = msgspec.structs.replace(GOOD, withdraw=None, ip_restricted=None)
    door.further = msgspec.structs.replace(GOOD, withdraw=True)
    assert "may withdraw or transfer" in str(run(*ADD, "--key-id", "AMANDA", secret=SECRET).exception)
    door.further = GOOD
    outcome = run(*ADD, "--key-id", "AMANDA", secret=SECRET)
    assert outcome.exit_code == 0
    assert "Warning" not in outcome.stderr.replace("\n", " ").partition("was made")[2]
    door.further = None  # a key that may not ask that
    assert "does not say whether" in run("check").stderr


def test_a_generated_pair_s_secret_half_never_leaves(
    door: Door, run: Callable[..., Result], connection: Connection
) -> None:
    import base64

    outcome = run(*ADD, "--generate", typed="the-id\n")
    assert outcome.exit_code == 0, outcome.output
    assert "PRIVATE" not in outcome.output
    pem = outcome.stdout[: outcome.stdout.index("-----END PUBLIC KEY-----") + 25]
    public = load_pem_public_key(pem.encode())
    assert isinstance(public, Ed25519PublicKey)
    [asked, _] = door.asked
    public.verify(
        base64.b64decode(asked["signature"]), f"/permissions the-id {asked['at']} {asked['nonce']}".encode()
    )


def test_a_new_key_takes_the_old_one_s_place(
    door: Door, run: Callable[..., Result], connection: Connection
) -> None:
    run(*ADD, "--key-id", "old", secret="old secret")
    outcome = run("rotate", "operator.main", "--key-id", "new", secret="new secret")
    assert outcome.exit_code == 0, outcome.output
    assert "Delete the old one (old)" in outcome.stdout.replace("\n", " ")
    states = connection.execute("SELECT key_id, state FROM credential ORDER BY version").fetchall()
    assert states == [("old", "revoked"), ("new", "active")]


def test_a_revoked_account_is_gone_from_the_list(door: Door, run: Callable[..., Result]) -> None:
    run(*ADD, "--key-id", "AMANDA", secret=SECRET)
    assert run("revoke", "operator.main").exit_code == 0
    assert "There is no account" in run("list").stdout
    assert "was revoked" in str(run("revoke", "operator.main").exception)


def test_checking_asks_each_exchange_and_proves_the_trail(
    door: Door, run: Callable[..., Result], connection: Connection
) -> None:
    run(*ADD, "--key-id", "AMANDA", secret=SECRET)
    good = run("check")
    assert good.exit_code == 0
    assert "✓ operator.main: reads, bound to an address, cannot withdraw" in good.stdout
    door.permissions = msgspec.structs.replace(GOOD, withdraw=True)
    bad = run("check", "operator.main")
    assert bad.exit_code == 1
    assert "✗ operator.main" in bad.stdout
    stored = connection.execute("SELECT permissions->>'withdraw' FROM credential").fetchone()
    assert stored == ("true",), "what was seen is kept"
    door.permissions = GOOD
    connection.execute("ALTER TABLE secret_access DISABLE TRIGGER USER")
    connection.execute("UPDATE secret_access SET actor = 'nobody' WHERE n = 1")
    broken = run("check")
    assert broken.exit_code == 1
    assert "broken at row 1" in broken.stdout


def test_key_encryption_is_rotated(door: Door, run: Callable[..., Result], tmp_path: Path) -> None:
    run(*ADD, "--key-id", "AMANDA", secret=SECRET)
    folder = tmp_path / "data" / "vault-keys"
    [old] = folder.iterdir()
    add(folder, "zz-newest")
    outcome = run("rotate", "--key-encryption")
    assert "1 credentials were wrapped again; all are below the key zz-newest." in outcome.stdout
    assert f"The key {old.name} opens none any more" in outcome.stdout
    old.unlink()
    assert run("check").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "nobody.main", "--exchange", "deribit", "--key-id", "a"), "There is no tenant 'nobody'"),
        (("add", "main", "--exchange", "deribit", "--key-id", "a"), "is no account's key"),
        (("rotate", "operator.other", "--key-id", "a"), "There is no account 'operator.other'"),
        (("revoke", "operator.other"), "There is no account 'operator.other'"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    door: Door, run: Callable[..., Result], arguments: tuple[str, ...], says: str
) -> None:
    outcome = run(*arguments)
    assert outcome.exit_code != 0
    assert says in str(outcome.exception)
    assert "\n" not in str(outcome.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*ADD, "--key-id", "a"), "hand it in with --secret-fd"),
        ((*ADD, "--key-id", "a", "--secret-fd", "987"), "987 cannot be read"),
        ((*ADD, "--generate", "--secret-fd", "0"), "--generate or --secret-fd"),
        (("rotate",), "Name an account"),
    ],
)
def test_wrong_use_is_told(
    door: Door, run: Callable[..., Result], arguments: tuple[str, ...], says: str
) -> None:
    outcome = run(*arguments)
    assert outcome.exit_code == 2
    assert says in " ".join(outcome.stderr.split())


def test_a_secret_cannot_be_given_as_an_argument(run: Callable[..., Result]) -> None:
    for verb in ("add", "rotate"):
        assert "--secret-fd" in run(verb, "--help").output
        assert run(verb, "operator.main", "--exchange", "deribit", "--secret", "x").exit_code == 2

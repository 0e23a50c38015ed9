from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.adapters.database.private_rows import fill
from trade_platform.adapters.database import tenants
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.private_tables import leaves_first, private_tables
from trade_platform.adapters.database.tenant_export import Format, export_rows
from trade_platform.adapters.database.tenants import KEPT, TenantRefused


def invited(connection: Connection, slug: str) -> str:
    return tenants.invite(connection, slug, days=7).token


def test_an_invitation_works_once_and_only_its_hash_is_stored(connection: Connection) -> None:
    invitation = tenants.invite(connection, "alice", days=7)
    assert invitation.token not in repr(invitation)
    [(stored,)] = connection.execute("SELECT i::text FROM invitation i").fetchall()
    assert invitation.token not in stored
    [alice, _] = tenants.listed(connection)
    assert (alice.slug, alice.state, alice.accounts) == ("alice", "invited", 0)
    assert alice.invited_until == invitation.expires_at
    assert tenants.accept(connection, f" {invitation.token}\n") == "alice"
    with pytest.raises(TenantRefused, match="unknown, used or too old"):
        tenants.accept(connection, invitation.token)
    [alice, operator] = tenants.listed(connection)
    assert (alice.state, alice.invited_until) == ("active", None)
    assert (operator.slug, operator.state) == ("operator", "active")


def test_a_token_that_is_wrong_too_old_or_replaced_opens_nothing(connection: Connection) -> None:
    first = invited(connection, "alice")
    second = invited(connection, "alice")
    for token in (first, "", second[:-1], "x"):
        with pytest.raises(TenantRefused):
            tenants.accept(connection, token)
    connection.execute("UPDATE invitation SET expires_at = now() - interval '1 s' WHERE used_at IS NULL")
    with pytest.raises(TenantRefused):
        tenants.accept(connection, second)
    assert tenants.accept(connection, invited(connection, "alice")) == "alice"
    with pytest.raises(TenantRefused, match="is active already"):
        invited(connection, "alice")


@pytest.mark.parametrize("slug", ["", "Alice", "a.b", "-a", "a" * 32, "a\n", "a'; DROP TABLE tenant; --"])
def test_a_name_that_is_none_is_refused(connection: Connection, slug: str) -> None:
    with pytest.raises(TenantRefused, match="is no tenant's name"):
        invited(connection, slug)


def test_quotas_are_changed_one_by_one(connection: Connection) -> None:
    invited(connection, "alice")
    tenants.set_quotas(connection, "alice", accounts=2, signatures_per_minute=None)
    tenants.set_quotas(connection, "alice", accounts=None, signatures_per_minute=30)
    [alice, _] = tenants.listed(connection)
    assert (alice.most_accounts, alice.most_signatures_per_minute) == (2, 30)
    with pytest.raises(TenantRefused, match="There is no tenant 'bob'"):
        tenants.set_quotas(connection, "bob", accounts=1, signatures_per_minute=1)


def test_a_tenant_that_is_removed_leaves_nothing_but_its_trail(connection: Connection) -> None:
    """In every private table that there is, and in the streams' own tables; Bob keeps all of his."""
    ids = {}
    for slug in ("alice", "bob"):
        tenants.accept(connection, invited(connection, slug))
        ids[slug] = tenants.tenant_id_of(connection, slug)
    fill(connection, [ids["alice"], ids["bob"]])
    for slug in ids:
        connection.execute(
            "INSERT INTO stream_position (stream, entry_id) VALUES (%s, '0')",
            (f"account:deribit:{slug}.main",),
        )
    counts = tenants.remove(connection, "alice")
    assert counts["tenant"] == counts["stream_position"] == 1
    for table in private_tables(connection):
        left = connection.execute(f"SELECT DISTINCT tenant_id::text FROM {table.name}").fetchall()
        assert (ids["bob"],) in left, table
        assert ((ids["alice"],) in left) == (table.name == KEPT), table
    streams = connection.execute("SELECT stream FROM stream_position").fetchall()
    assert streams == [("account:deribit:bob.main",)]
    with pytest.raises(TenantRefused, match="There is no tenant 'alice'"):
        tenants.remove(connection, "alice")


def test_the_operator_stays(connection: Connection) -> None:
    with pytest.raises(TenantRefused, match="cannot be removed"):
        tenants.remove(connection, "operator")


def test_what_refers_to_a_table_is_deleted_before_it(connection: Connection) -> None:
    order = leaves_first(connection)
    assert order.index("credential") < order.index("account") < order.index("tenant")
    assert set(order) == {table.name for table in private_tables(connection)}


def test_a_removal_that_fails_removes_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants.accept(connection, invited(connection, "alice"))
    monkeypatch.setattr(tenants, "_STREAMS", {"dead_letter": "SELECT 1 / 0, %s"})
    with pytest.raises(psycopg.errors.DivisionByZero):
        tenants.remove(connection, "alice")
    assert [one.slug for one in tenants.listed(connection)] == ["alice", "operator"]


@pytest.mark.parametrize("form", list(Format))
def test_an_export_holds_all_of_one_tenant_nothing_of_another_and_no_ciphertext(
    connection: Connection, tmp_path: Path, form: Format
) -> None:
    ids = []
    for slug in ("alice", "bob"):
        invited(connection, slug)
        ids.append(tenants.tenant_id_of(connection, slug))
    tables = fill(connection, ids)
    counts = export_rows(connection, ids[0], tmp_path / "out", form)
    assert set(tables) - counts.keys() == {"invitation"}, "what no tenant may read"
    assert set(counts.values()) == {1}
    for table in counts:
        path = tmp_path / "out" / f"{table}.{form}"
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        assert ids[0] in text
        assert ids[1] not in text
        assert "sealed_secret" not in text
        assert "wrapped_key" not in text
        if form is Format.JSON:
            [row] = json.loads(text)
            assert row["tenant_id"] == ids[0]
        else:
            assert text.splitlines()[0].split(",")[0]


def test_an_export_of_an_empty_tenant_is_whole(connection: Connection, tmp_path: Path) -> None:
    invited(connection, "alice")
    export_rows(connection, tenants.tenant_id_of(connection, "alice"), tmp_path, Format.JSON)
    assert json.loads((tmp_path / "account.json").read_text()) == []

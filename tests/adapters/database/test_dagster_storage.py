from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from trade_platform.adapters.database.dagster_storage import (
    NoDagsterStorage,
    check_dagster_storage,
    ensure_dagster_storage,
    known_dagster_storage,
    sqlalchemy_url,
)
from trade_platform.adapters.embedded import Server


@pytest.fixture
def server(postgres_server: Callable[..., Server]) -> Server:
    """Of the test's own: roles are a server's, not a database's."""
    return postgres_server()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    return tmp_path / "dagster" / "password"


def test_database_and_role_are_made_once(server: Server, password_file: Path) -> None:
    assert known_dagster_storage(server.url, password_file) == ""
    url = ensure_dagster_storage(server.url, password_file)
    assert ensure_dagster_storage(server.url, password_file) == url
    assert known_dagster_storage(server.url, password_file) == url
    assert password_file.stat().st_mode & 0o777 == 0o600
    with psycopg.connect(url) as connection:
        assert connection.execute("select current_user, current_database()").fetchone() == (
            "dagster",
            "dagster",
        )
        connection.execute("create table something (id int)")
    assert check_dagster_storage(url) == 1


def test_the_role_is_no_more_than_it_must_be(server: Server, password_file: Path) -> None:
    ensure_dagster_storage(server.url, password_file)
    with psycopg.connect(server.url) as connection:
        row = connection.execute(
            "select rolsuper, rolcreatedb, rolcreaterole, rolconnlimit from pg_roles where rolname = %s",
            ["dagster"],
        ).fetchone()
    assert row == (False, False, False, 60)


def test_a_lost_password_is_replaced(server: Server, password_file: Path) -> None:
    before = ensure_dagster_storage(server.url, password_file)
    password_file.unlink()
    after = ensure_dagster_storage(server.url, password_file)
    assert before != after
    with psycopg.connect(server.url) as connection:
        stored = connection.execute("select rolpassword from pg_authid where rolname = 'dagster'").fetchone()
    assert stored is not None
    assert password_file.read_text().strip() not in str(stored[0]), "only a hash is stored"


def test_another_platform_of_the_server_has_a_dagster_of_its_own(
    server: Server, password_file: Path, tmp_path: Path
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create database second")
    other = ensure_dagster_storage(make_conninfo(server.url, dbname="second"), tmp_path / "other")
    first = ensure_dagster_storage(server.url, password_file)
    names = [conninfo_to_dict(url)["dbname"] for url in (first, other)]
    assert names == ["dagster", "dagster_second"]


def test_a_role_that_may_not_create_them_is_told_what_to_do(server: Server, password_file: Path) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("create role small login"))
    with pytest.raises(NoDagsterStorage, match=r"DAGSTER_DATABASE_URL.*--no-dagster"):
        ensure_dagster_storage(make_conninfo(server.url, user="small"), password_file)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(NoDagsterStorage, match="--no-dagster") as caught:
        check_dagster_storage("postgresql://dagster:secret@127.0.0.1:9/dagster")
    assert "secret" not in str(caught.value)


def test_dagster_is_told_which_driver_to_take() -> None:
    assert sqlalchemy_url("postgresql://a:b@/d?host=/s") == "postgresql+psycopg2://a:b@/d?host=/s"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db.example:5433/trade_platform?sslmode=require",
        "postgresql://me:secret@[::1]:5433/trade_platform",
        "postgresql://me@/trade_platform?host=%2Fvar%2Frun",
        "host=/var/run user=me dbname=trade_platform",
    ],
)
def test_the_url_leads_to_the_same_server_with_another_name(url: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("word\n")
    found = conninfo_to_dict(known_dagster_storage(url, tmp_path / "password"))
    given = conninfo_to_dict(url)
    assert {**given, "dbname": "dagster", "user": "dagster", "password": "word"} == found

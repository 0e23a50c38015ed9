from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import psycopg
import pytest

from trade_platform.adapters.database import migrate, revision
from trade_platform.adapters.database.connection import SchemaBehind, connect
from trade_platform.adapters.database.migrate import FOLDER, MigrationFailed, differences, newest, upgrade


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trade_platform.adapters.database.migrate", *arguments],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_migrations_make_the_declared_schema(empty_postgres_url: str) -> None:
    assert differences(empty_postgres_url) == []


def test_a_difference_is_found(empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison would notice: a changed default, and a table that no migration makes."""
    from sqlalchemy import Column, Integer, MetaData, Table

    declared = MetaData()
    for table in migrate.metadata.tables.values():
        table.to_metadata(declared)
    declared.tables["gap"].c.detail.server_default = None
    Table("forgotten", declared, Column("number", Integer))
    monkeypatch.setattr(migrate, "metadata", declared)
    found = differences(empty_postgres_url)
    assert any(line.startswith("- table forgotten") for line in found)
    assert [line for line in found if "gap" in line and "detail" in line]


def test_the_files_are_numbered_without_holes() -> None:
    names = sorted(path.name for path in FOLDER.glob("*.py"))
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", name) for name in names)
    assert newest() == names[-1][:4] == revision.NEEDED


def test_upgrading_twice_does_nothing_the_second_time(empty_postgres_url: str) -> None:
    assert upgrade(empty_postgres_url) is None
    assert upgrade(empty_postgres_url) == newest()


def test_several_upgrades_at_once_wait_for_each_other(empty_postgres_url: str) -> None:
    failures: list[Exception] = []

    def one() -> None:
        try:
            upgrade(empty_postgres_url)
        except MigrationFailed as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_without_our_schema_says_which_command_makes_it(empty_postgres_url: str) -> None:
    with connect(empty_postgres_url, name="test") as connection:
        with pytest.raises(SchemaBehind, match=r"has no schema of ours.*database\.migrate"):
            revision.check_revision(connection)
        upgrade(empty_postgres_url)
        revision.check_revision(connection)
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        with pytest.raises(SchemaBehind, match="is at revision 0000"):
            revision.check_revision(connection)


def test_the_command_upgrades_and_checks(empty_postgres_url: str) -> None:
    done = run(empty_postgres_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"The schema is at revision {newest()} (it was at none).\n"
    with psycopg.connect(empty_postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM trade").fetchone() == (0,)
    assert run(empty_postgres_url, "--check").stdout == "The migrations make the declared schema.\n"


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("", 2, "DATABASE_URL is not set"),
        ("sqlite:///here", 2, "is no database URL"),
        ("postgresql://nobody@127.0.0.1:1/none", 1, "cannot be migrated: .*refused"),
    ],
)
def test_what_is_wrong_is_one_sentence(url: str, code: int, says: str) -> None:
    done = run(url)
    assert done.returncode == code
    assert re.search(says, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr


def test_nothing_is_left_of_the_check(empty_postgres_url: str) -> None:
    differences(empty_postgres_url)
    with psycopg.connect(empty_postgres_url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'scratch_%'"
        ).fetchone()
    assert left == (0,)

from __future__ import annotations

from pathlib import Path

import msgspec
import psycopg
import pytest
from click.testing import CliRunner

from trade_platform.adapters.dagster_home import INSTANCE
from trade_platform.adapters.database.dagster_storage import sqlalchemy_url
from trade_platform.cli import cli
from trade_platform.surroundings import NotHere


def test_it_says_what_it_deleted(
    tmp_path: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("DAGSTER_DATABASE_URL", empty_postgres_url)
    nothing = CliRunner().invoke(cli, ["maintain"])
    assert (nothing.exit_code, nothing.output) == (0, "Dagster has stored nothing yet.\n")
    home = tmp_path / "instance"
    home.mkdir()
    (home / "dagster.yaml").write_bytes(INSTANCE.read_bytes())
    monkeypatch.setenv("DAGSTER_STORAGE_URL", sqlalchemy_url(empty_postgres_url))
    with dg.DagsterInstance.from_config(str(home)):
        pass  # it made its tables
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute(
            "insert into job_ticks (status, timestamp, tick_body) values ('SKIPPED', '2020-01-01', '')"
        )
    shown = CliRunner().invoke(cli, ["maintain", "--json"])
    assert shown.exit_code == 0
    counts = {one["what"]: one["count"] for one in msgspec.json.decode(shown.output)}
    assert counts["ticks"] == 1
    drawn = CliRunner().invoke(cli, ["maintain"])
    assert "steps of runs" in drawn.output


def test_where_dagster_never_was_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    outcome = CliRunner().invoke(cli, ["maintain"])
    assert isinstance(outcome.exception, NotHere)
    assert "trade-platform up" in str(outcome.exception)

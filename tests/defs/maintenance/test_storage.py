from __future__ import annotations

from pathlib import Path

import dagster as dg
import psycopg
import pytest

from trade_platform.adapters.dagster_home import INSTANCE
from trade_platform.adapters.database.dagster_storage import sqlalchemy_url
from trade_platform.defs.maintenance.storage import dagster_storage
from trade_platform.defs.stores import KEY, Stores


def test_the_asset_deletes_and_says_how_much(
    tmp_path: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_bytes(INSTANCE.read_bytes())
    monkeypatch.setenv("DAGSTER_STORAGE_URL", sqlalchemy_url(empty_postgres_url))
    monkeypatch.setenv("DAGSTER_DATABASE_URL", empty_postgres_url)
    with (
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
        psycopg.connect(empty_postgres_url, autocommit=True) as connection,
    ):
        connection.execute(
            "insert into job_ticks (status, timestamp, tick_body) values ('SKIPPED', '2020-01-01', '')"
        )
        result = dg.materialize([dagster_storage], instance=instance, resources={KEY: Stores()})
        assert connection.execute("select count(*) from job_ticks").fetchone() == (0,)
    (made,) = result.asset_materializations_for_node("dagster_storage")
    assert made.metadata["ticks"].value == 1

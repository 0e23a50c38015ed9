from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.processors.feeding import NOON
from trade_platform.adapters.process import CannotStart
from trade_platform.defs.stores import Stores, unreachable
from trade_platform.domain.model import MINUTE
from trade_platform.exchanges.registry import EXCHANGES


def test_empty_fields_mean_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody@nowhere/db")
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    settings = Stores().settings()
    assert settings.database_url == "postgresql://somebody@nowhere/db"
    assert settings.data_folder == tmp_path
    assert Stores(redis_url="redis://r").settings().redis_url == "redis://r"
    assert Stores(data_folder="other").settings().data_folder == Path("other")


def test_both_stores_answer(stores: Stores) -> None:
    with stores.database("mine") as connection, stores.bus() as bus:
        assert connection.execute("SHOW application_name").fetchone() == ("mine",)
        assert bus.ping()


def test_now_is_the_market_s(stores: Stores) -> None:
    now = stores.clock().market()
    assert NOON + 120 * MINUTE <= now < NOON + 180 * MINUTE


async def test_a_desk_reaches_every_exchange(stores: Stores) -> None:
    async with stores.desk("repair") as desk:
        assert desk.reaches.keys() == EXCHANGES.keys()
        assert await desk.ask(lambda connection: connection.info.dsn)


def test_a_platform_that_does_not_run_is_said_in_one_sentence(tmp_path: Path) -> None:
    nothing = Stores(data_folder=str(tmp_path))
    with pytest.raises(CannotStart, match="set DATABASE_URL"), nothing.database():
        pass
    with pytest.raises(CannotStart, match="set REDIS_URL"), nothing.bus():
        pass


def test_a_sensor_s_look_catches_what_cannot_be_reached_and_nothing_else(empty_postgres_url: str) -> None:
    with unreachable() as missing, Stores(database_url=empty_postgres_url).database():
        pass
    (sentence,) = missing
    assert "has no schema of ours" in sentence
    with unreachable() as missing:
        raise psycopg.OperationalError("away\nDETAIL")
    assert missing == ["away"]
    with pytest.raises(ZeroDivisionError), unreachable():
        _ = 1 / 0

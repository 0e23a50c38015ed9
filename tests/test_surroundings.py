from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from trade_platform.settings import Settings
from trade_platform.surroundings import NotHere, connections, database, servers


def test_without_a_database_the_sentence_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NotHere, match="make demo"), database(Settings(data_folder=tmp_path)):
        pass


def test_without_a_redis_nothing_is_running(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings(data_folder=tmp_path, database_url=postgres_url)
    with pytest.raises(NotHere, match="Nothing is running here"), connections(settings):
        pass


def test_a_named_database_that_does_not_answer_is_said_before_anything_starts(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path, database_url="postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(NotHere, match="DATABASE_URL does not answer"), servers(settings):
        pass
    assert list(tmp_path.iterdir()) == []


def test_embedded_servers_end_with_the_block_and_keep_their_data(server_folder: Path) -> None:
    folder = server_folder / "surroundings"
    folder.mkdir(mode=0o711)
    settings = Settings(data_folder=folder)
    with servers(settings) as (database_url, redis_url, kept):
        assert len(kept) == 2
        assert redis_url.startswith("unix:")
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("create table kept as select 1 as one")
    with database(settings) as connection:
        assert connection.execute("select one from kept").fetchone() == (1,)

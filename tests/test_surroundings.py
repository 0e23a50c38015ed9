from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg
import pytest
from aiohttp import web

from streamers.simulator.certificate import server_context
from trade_platform.adapters.embedded import Server
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.exchanges.binance import BinanceSpot
from trade_platform.exchanges.session import Request
from trade_platform.settings import Settings
from trade_platform.surroundings import (
    NotHere,
    connections,
    dagster_database,
    dagster_environment,
    dagster_url,
    database,
    rest_client,
    servers,
)


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


def test_what_a_driver_says_of_a_named_database_shows_no_password(tmp_path: Path) -> None:
    """One that holds an @ as it is turns up in the host's name."""
    settings = Settings(data_folder=tmp_path, database_url="postgresql://nobody:pa@se-cret@127.0.0.1:9/none")
    with pytest.raises(NotHere, match="DATABASE_URL does not answer") as refused, servers(settings):
        pass
    assert "cret" not in str(refused.value)


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


async def test_rest_believes_the_authority_that_settings_name(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/api/v3/ping", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(tmp_path)).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    settings = Settings(data_folder=tmp_path, urls={"BINANCE_SPOT_REST_URL": url})
    own = msgspec.structs.replace(settings, tls_ca_file=str(tmp_path / "certificate.pem"))
    request = Request(method="GET", path="/api/v3/ping", query={}, weight=1)
    try:
        async with rest_client(BinanceSpot(), own) as client:
            assert await client.fetch(request) == b"{}"
        async with rest_client(BinanceSpot(), settings) as client:
            with pytest.raises(RestUnavailable):
                await client.fetch(request)
    finally:
        await runner.cleanup()


def test_dagster_is_given_a_home_and_a_database_and_found_there_again(
    tmp_path: Path, postgres_server: Callable[..., Server]
) -> None:
    settings = Settings(data_folder=tmp_path, database_url=postgres_server().url)
    assert dagster_url(settings) == ""
    with pytest.raises(NotHere, match="trade-platform up"), dagster_database(settings):
        pass
    told = dagster_environment(settings, settings.database_url)
    assert told["DAGSTER_STORAGE_URL"].startswith("postgresql+psycopg2://dagster:")
    assert (Path(told["DAGSTER_HOME"]) / "dagster.yaml").is_file()
    assert dagster_url(settings) == told["DAGSTER_DATABASE_URL"]
    with dagster_database(settings) as connection:
        assert connection.info.dbname == "dagster"


def test_a_database_that_is_named_for_dagster_is_taken_as_it_is(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    settings = Settings(data_folder=tmp_path, dagster_database_url=empty_postgres_url)
    told = dagster_environment(settings, "postgresql://nobody@127.0.0.1:9/none")
    assert told["DAGSTER_DATABASE_URL"] == empty_postgres_url

"""What goes wrong outside: one clear sentence, a retry where it makes sense, no traceback, nothing lost."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trade_platform.adapters.embedded import Server

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Platform


def sentence(said: str) -> str:
    """What a person reads; a traceback is none."""
    assert "Traceback" not in said, said
    return said


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("METRICS_PORT", "many", "METRICS_PORT"),
        ("MARKET_CLOCK", "noon", "MARKET_CLOCK"),
        ("DERIBIT_REST_URL", "deribit.com", "DERIBIT_REST_URL"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none", "127.0.0.1"),
        ("REDIS_URL", "redis://127.0.0.1:9/0", "127.0.0.1"),
        ("REDIS_URL", "nonsense", "REDIS_URL"),
        ("INSTRUMENTS_FILE", "/nowhere/instruments.toml", "/nowhere/instruments.toml"),
        ("DATA_FOLDER", "/proc/data", "/proc/data"),
        ("DATABASE_URL_FILE", "/nowhere/secret", "/nowhere/secret"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(
    platform: Platform, setting: str, value: str, part: str
) -> None:
    environment = {**platform.environment, setting: value}
    if setting.endswith("_FILE") and setting != "INSTRUMENTS_FILE":
        environment.pop(setting.removesuffix("_FILE"))
    platform.environment = environment
    run = platform.run("up", "--simulated", "--seconds", "1")
    assert run.returncode == 2, run.stdout + run.stderr
    assert part in sentence(run.stdout + run.stderr)


def test_a_broken_selection_is_named_by_place(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "instruments.toml"
    path.write_text('[[record]]\nexchange = "binance_spot"\nsymbols = ["*"]\nchannels = ["trades"]\n')
    platform.environment["INSTRUMENTS_FILE"] = str(path)
    run = platform.run("instruments")
    assert run.returncode == 2
    assert "trades" in sentence(run.stdout + run.stderr)


def test_used_wrongly_is_exit_code_2_with_usage(platform: Platform) -> None:
    for arguments in (
        ["up", "--speed", "0.5"],
        ["up", "--exchange", "mtgox"],
        ["up", "--live", "--simulated"],
        ["up", "--live", "--speed", "2"],
        ["fly"],
        ["up", "--capture", "nowhere"],
    ):
        run = platform.run(*arguments)
        assert run.returncode == 2, arguments
        sentence(run.stdout + run.stderr)


def test_a_taken_port_is_named(platform: Platform) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = platform.run("simulate", "--exchange", "deribit", "--port-base", str(port))
    assert run.returncode in (1, 2)
    assert str(port) in sentence(run.stdout + run.stderr)


@pytest.mark.timeout(300)
def test_down_ends_a_platform_that_runs(platform: Platform) -> None:
    """As the sentence of a second ``up`` on the same folder advises."""
    platform.start("--simulated", "--speed", "10")
    platform.await_running("streamer-deribit")
    platform.until(lambda: platform.held() > 100, "trades flow")
    down = platform.run("down")
    assert down.returncode == 0
    assert "up" in down.stdout
    code, said = platform.wait()
    assert code == 0, said + platform.logs()
    assert platform.run("down").stdout == "nothing was running\n"


@pytest.mark.timeout(300)
def test_unreachable_exchanges_are_said_once_each_and_asked_again(platform: Platform) -> None:
    """Nothing listens where the exchanges should be; recording begins once they are there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for exchange in ("BINANCE_SPOT", "BINANCE_USDM", "DERIBIT"):
        platform.environment[f"{exchange}_WEBSOCKET_URL"] = f"ws://127.0.0.1:{port}"
        platform.environment[f"{exchange}_REST_URL"] = f"http://127.0.0.1:{port}"
    platform.start("--live", "--exchange", "binance_spot")
    platform.await_running("processor-market-binance_spot")
    log = platform.folder / "logs" / "streamer-binance_spot.log"
    platform.until(
        lambda: log.exists() and "binance_spot" in log.read_text(), "the streamer says what is wrong"
    )
    _, said = platform.stop()
    sentence(said + platform.logs())


@pytest.mark.timeout(300)
def test_redis_may_be_stopped_for_a_while(platform: Platform, redis_server: Callable[[], Server]) -> None:
    """Streamers spool, processors wait; when it is back everything flows on and nothing is missing."""
    server = redis_server()
    platform.environment["REDIS_URL"] = server.url
    platform.start("--simulated", "--speed", "10")
    platform.await_running("repair")  # the last to be ready: a stop before it is one in the middle of a start
    platform.until(lambda: platform.held() > 200, "trades flow")
    server.stop()
    spool = platform.folder / "spool"
    platform.until(
        lambda: any(path.stat().st_size for path in spool.rglob("*") if path.is_file()), "a spool grows"
    )
    server = redis_server()
    before = platform.held()
    platform.until(lambda: platform.held() > before + 200, "trades flow again")
    code, said = platform.stop()
    assert code == 0, said + platform.logs()
    assert "missing 0, duplicated 0" in said
    sentence(said + platform.logs())


@pytest.mark.timeout(300)
def test_postgresql_may_be_stopped_for_a_while(
    platform: Platform, postgres_server: Callable[[], Server]
) -> None:
    """Entries wait in Redis; when the server is back they are stored, exactly once."""
    server = postgres_server()
    platform.environment["DATABASE_URL"] = server.url
    platform.start("--simulated", "--speed", "10")
    for name in ("streamer-deribit", "streamer-binance_spot", "streamer-binance_usdm", "repair"):
        platform.await_running(name)
    platform.until(lambda: platform.held() > 200, "trades flow")
    server.kill()
    postgres_server()
    before = platform.held()
    platform.until(lambda: platform.held() > before + 200, "trades flow again")
    code, said = platform.stop()
    assert code == 0, said + platform.logs()
    assert "missing 0, duplicated 0" in said
    sentence(said + platform.logs())

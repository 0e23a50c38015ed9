"""Beside a simulated market a verb asks that market, and its clock counts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from trade_platform.adapters.process import RunFile
from trade_platform.commands.console import settings_of

CLOCK = "1790000000000000/12.5/10.0"
URLS = {
    "binance_spot": {"websocket": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"},
    "binance_usdm": {"websocket": "ws://127.0.0.1:2", "rest": "http://127.0.0.1:2"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    return tmp_path


def test_a_simulated_market_that_runs_is_asked_and_its_clock_counts(folder: Path) -> None:
    with RunFile(folder, "simulator", urls=URLS), RunFile(folder, "up", market_clock=CLOCK):
        settings = settings_of(replay=False)
    assert settings.hosts("binance_spot") == ("ws://127.0.0.1:1", "http://127.0.0.1:1")
    assert (settings.market_clock, settings.archive) == (CLOCK, "http://127.0.0.1:2/archive")
    assert settings_of(replay=False).urls == {}, "it has ended"


def test_what_the_environment_says_has_the_last_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_SPOT_REST_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ARCHIVE", "/files")
    with RunFile(folder, "simulator", urls=URLS), RunFile(folder, "up", market_clock=CLOCK):
        settings = settings_of(replay=False)
    assert settings.hosts("binance_spot") == ("ws://127.0.0.1:1", "http://127.0.0.1:9")
    assert settings.archive == "/files"


def test_a_process_of_the_platform_was_told_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET_CLOCK", CLOCK)
    with RunFile(folder, "simulator", urls=URLS), RunFile(folder, "up", market_clock=CLOCK):
        assert settings_of(replay=False).urls == {}


def test_one_that_was_killed_left_its_file_and_is_not_asked(folder: Path) -> None:
    with RunFile(folder, "simulator", urls=URLS) as file, RunFile(folder, "up", market_clock=CLOCK):
        gone = msgspec.structs.replace(file.run, birth=1)
        file.path.write_bytes(msgspec.json.encode(gone))
        assert settings_of(replay=False).urls == {}


def test_a_replay_has_a_market_of_its_own(folder: Path) -> None:
    with RunFile(folder / "replay", "simulator", urls=URLS), RunFile(folder / "replay", "up"):
        assert settings_of(replay=True).hosts("binance_spot")[1] == "http://127.0.0.1:1"
        assert settings_of(replay=False).urls == {}

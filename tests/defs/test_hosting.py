from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trade_platform.adapters.process import read_run
from trade_platform.defs import hosting
from trade_platform.defs.hosting import announced, announced_once_open, code_address, run
from trade_platform.settings import Settings

STUBBORN = """
import signal, time
from trade_platform.defs import hosting
hosting.STOP_SECONDS = 0.2
hosting.end_by_signal()
while True:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""
TOLD = {
    "DAGSTER_HOME": "/nowhere",
    "DAGSTER_STORAGE_URL": "postgresql+psycopg2://",
    "DAGSTER_CODE_HOST": "127.0.0.1",
    "DAGSTER_CODE_PORT": "4000",
}


@pytest.fixture(autouse=True)
def _no_way_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests run the work in their own process, which is to stay as quick as it was."""
    monkeypatch.setattr(hosting, "give_way", lambda: None)


def test_who_records_goes_first() -> None:
    code = "import os\nfrom trade_platform.defs.hosting import give_way\ngive_way()\nprint(os.nice(0))"
    given = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, start_new_session=True
    )
    assert int(given.stdout) >= hosting.NICENESS


def test_without_its_surroundings_it_says_so_and_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    assert code_address() == ("127.0.0.1", 4000)
    done: list[Settings] = []
    assert run(done.append) == 0
    assert len(done) == 1
    monkeypatch.delenv("DAGSTER_HOME")
    assert run(done.append) == 2
    assert "DAGSTER_HOME" in capsys.readouterr().err
    assert len(done) == 1


def test_what_dagster_makes_of_a_signal_is_a_clean_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    settings = Settings(data_folder=tmp_path)

    def work(_: Settings) -> None:
        with announced(settings, "dagster-web", "http://127.0.0.1:3000"):
            found = read_run(tmp_path / "run" / "dagster-web.json")
            assert found is not None
            assert found.urls == {"page": {"http": "http://127.0.0.1:3000"}}
            raise KeyboardInterrupt

    assert run(work) == 0
    assert read_run(tmp_path / "run" / "dagster-web.json") is None


def test_a_server_is_announced_once_it_listens(tmp_path: Path) -> None:
    import socket
    import threading

    settings, path = Settings(data_folder=tmp_path), tmp_path / "run" / "dagster-code.json"
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        with announced_once_open(settings, "dagster-code", one.getsockname()):
            assert read_run(path) is None
            one.listen()
            while read_run(path) is None:
                threading.Event().wait(0.01)
    assert read_run(path) is None


def test_who_does_not_end_is_left() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(30) == 0

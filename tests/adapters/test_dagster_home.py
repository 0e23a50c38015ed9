from __future__ import annotations

import socket
from pathlib import Path

import pytest

from trade_platform.adapters import dagster_home
from trade_platform.adapters.dagster_home import (
    LOOPBACK,
    NoDagsterHome,
    free_port,
    home_of,
    is_open,
    make_home,
    password_file_of,
)


def test_the_home_is_ours_alone_and_has_today_s_configuration(tmp_path: Path) -> None:
    stale = home_of(tmp_path)
    stale.mkdir(mode=0o700)
    (stale / "dagster.yaml").write_text("of an earlier version")
    home = make_home(tmp_path)
    assert home == stale
    assert home.is_absolute()
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "dagster.yaml").read_bytes() == dagster_home.INSTANCE.read_bytes()
    assert password_file_of(tmp_path).parent == home


def test_what_keeps_it_from_being_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoDagsterHome, match="DATA_FOLDER"):
        make_home(tmp_path / "file")
    monkeypatch.setattr(dagster_home, "INSTANCE", tmp_path / "nowhere")
    with pytest.raises(NoDagsterHome, match="--no-dagster"):
        make_home(tmp_path)


def test_a_free_port_is_free() -> None:
    port = free_port()
    assert not is_open(LOOPBACK, port)
    with socket.socket() as one:
        one.bind((LOOPBACK, port))
        one.listen()
        assert is_open(LOOPBACK, port)

"""Ports outlive a life; what cannot be read or kept costs nothing but the ports."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from streamers.simulator.ports import keep_ports, read_ports


def test_ports_are_kept_beside_those_of_other_exchanges(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    keep_ports(tmp_path, {"deribit": 5000, "binance_spot": 5001})
    keep_ports(tmp_path, {"deribit": 6000})
    assert read_ports(tmp_path) == {"deribit": 6000, "binance_spot": 5001}


def test_nothing_usable_is_no_ports(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    assert read_ports(tmp_path) == {}
    (tmp_path / "ledger" / "ports.json").write_text('{"deribit":70000}')
    assert read_ports(tmp_path) == {}
    (tmp_path / "ledger" / "ports.json").write_text("torn")
    assert read_ports(tmp_path) == {}


def test_ports_that_cannot_be_kept_are_said(tmp_path: Path) -> None:
    with capture_logs() as logs:
        keep_ports(tmp_path, {"deribit": 5000})
    assert [one["event"] for one in logs] == ["the ports cannot be remembered"]

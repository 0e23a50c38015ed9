"""Accounts put together from a file and a data folder, and sentences where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamers.simulator.accounts.halves import open_desk
from streamers.simulator.assembly import Plan, assemble
from streamers.simulator.floor import Floor
from streamers.simulator.listing import SECOND
from tests.streamers.simulator.accounts.desks import exchange_with, spec
from tests.streamers.simulator.conftest import START
from trade_platform.adapters.process import CannotStart

ONE = {"exchange": "deribit", "name": "main", "key_id": "K", "secret": "S", "balances": {"BTC": "10"}}


class Clock:
    def market(self) -> int:
        return START


def plan(folder: Path) -> Plan:
    path = folder / "accounts.json"
    path.write_text(json.dumps([ONE]))
    return Plan(accounts=path)


def test_only_an_exchange_that_is_named_has_a_desk(tmp_path: Path) -> None:
    given = plan(tmp_path)
    assert assemble(given, "deribit", tmp_path, Clock()).exchange.desk is not None
    assert assemble(given, "binance_spot", tmp_path, Clock()).exchange.desk is None
    assert assemble(Plan(), "deribit", tmp_path, Clock()).exchange.desk is None
    floor = exchange_with().source
    assert isinstance(floor, Floor)
    assert open_desk(floor, [spec(exchange="binance_spot")], None) is None


def test_books_lie_in_the_data_folder(tmp_path: Path) -> None:
    remembered = assemble(plan(tmp_path), "deribit", tmp_path, Clock())
    for second in range(1, 120):
        list(remembered.exchange.step(START + second * SECOND, float(second)))
    path = tmp_path / "accounts" / "deribit.main.jsonl"
    assert len(path.read_bytes().splitlines()) > 10
    assert b'"S"' not in path.read_bytes()


def test_a_book_that_was_altered_is_none(tmp_path: Path) -> None:
    given = plan(tmp_path)
    assemble(given, "deribit", tmp_path, Clock())
    (tmp_path / "accounts" / "deribit.main.jsonl").write_text('{"type":"dance"}\n')
    with pytest.raises(CannotStart, match=r"A book of deribit in .* was altered"):
        assemble(given, "deribit", tmp_path, Clock())


def test_an_unusable_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="cannot be read"):
        assemble(Plan(accounts=tmp_path / "none.json"), "deribit", tmp_path, Clock())

from __future__ import annotations

from pathlib import Path

import pytest

from streamers.choice import Choice
from tests.streamers.fictional import Fictional
from tests.streamers.streamer import select
from trade_platform.adapters.selection_file import SelectionFile
from trade_platform.domain.model import Instrument, InstrumentKind

INSTRUMENTS = [Instrument(symbol="AAA", kind=InstrumentKind.SPOT)]


@pytest.fixture
def choice(tmp_path: Path) -> Choice:
    return Choice(Fictional(), SelectionFile(tmp_path / "instruments.toml", exchanges=["fictional"]))


def test_what_is_selected_is_wanted(choice: Choice) -> None:
    assert choice.changed
    select(choice.file.path, "AAA", "BBB")
    choice.read()
    assert not choice.changed
    assert {(one.symbol, one.channel) for one in choice.wanted(INSTRUMENTS) if one.symbol} == {
        ("AAA", "trade"),
        ("AAA", "quote"),
    }
    assert choice.quote_interval >= 0


def test_a_file_that_cannot_be_used_leaves_what_was(choice: Choice) -> None:
    choice.file.path.write_text("[[record]]\n")
    choice.read()
    assert choice.wanted(INSTRUMENTS) == []
    select(choice.file.path, "AAA")
    choice.read()
    wanted = choice.wanted(INSTRUMENTS)
    choice.file.path.write_text("[[record]]\n")
    choice.read()
    assert choice.wanted(INSTRUMENTS) == wanted != []

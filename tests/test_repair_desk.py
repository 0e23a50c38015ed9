from __future__ import annotations

from pathlib import Path

import pytest

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.process import CannotStart
from trade_platform.domain.model import Channel
from trade_platform.repair_desk import Recorded, open_database
from trade_platform.settings import Settings


def test_without_a_database_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="trade-platform up"):
        open_database(Settings(data_folder=tmp_path), "test")


@pytest.mark.parametrize("readable", [True, False])
def test_what_is_selected_is_recorded_and_where_that_is_unknown_everything(
    connection: Connection, tmp_path: Path, readable: bool
) -> None:
    connection.execute("INSERT INTO instrument (exchange, symbol, kind) VALUES ('deribit', 'X', 'spot')")
    path = tmp_path / "instruments.toml"
    path.write_text('[[record]]\nexchange = "deribit"\nsymbols = ["X"]\nchannels = ["trade"]\n' * readable)
    if not readable:
        path.unlink()
    recorded = Recorded(Settings(instruments_file=path), connection)
    assert recorded("deribit", "X", Channel.TRADE)
    assert recorded("deribit", "X", Channel.CANDLE) is not readable
    assert recorded("deribit", "Y", Channel.TRADE) is not readable

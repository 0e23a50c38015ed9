import gzip
import json
from pathlib import Path

import pytest

from trade_platform.adapters.selection_file import read_selection
from trade_platform.domain.model import Channel, Instrument
from trade_platform.domain.selection import resolve
from trade_platform.operations.capture import Capture, CaptureUnusable, describe, write_selection


def test_a_session_is_described_by_what_it_holds(tmp_path: Path) -> None:
    frames = [
        {"t": 1_700_000_000_000_000_000, "dir": "in", "url": None, "text": trade(1)},
        {"t": 1_700_000_001_500_000_000, "dir": "in", "url": None, "text": trade(2)},
    ]
    path = tmp_path / "binance_spot" / "session.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("\n".join(json.dumps(frame) for frame in frames).encode()))
    capture = describe(path)
    assert capture.exchange == "binance_spot"
    assert capture.symbols == ["ETHUSDT"]
    assert capture.channels == ["trade"]
    assert (capture.start, capture.end) == (1_700_000_000_000_000, 1_700_000_001_500_000)
    assert capture.trades == 2


def trade(sequence: int) -> str:
    data = {
        "e": "trade",
        "E": 1,
        "s": "ETHUSDT",
        "t": sequence,
        "p": "1",
        "q": "2",
        "T": 1,
        "m": True,
        "M": True,
    }
    return json.dumps({"stream": "ethusdt@trade", "data": data})


@pytest.mark.parametrize("content", [b"", b"no json\n", b'{"t": 1}\n'])
def test_what_is_no_session_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "session.jsonl"
    path.write_bytes(content)
    with pytest.raises(CaptureUnusable) as refusal:
        describe(path)
    assert "Traceback" not in str(refusal.value)
    assert "session.jsonl" in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureUnusable, match="nowhere"):
        describe(tmp_path / "nowhere.jsonl")


def test_the_written_selection_asks_for_exactly_the_recorded_symbols(tmp_path: Path) -> None:
    """Symbols are literal, even one that looks like a pattern."""
    capture = Capture("binance_spot", ["ETHUSDT", "A*B"], ["trade", "candle"], 0, 1, 5)
    path = tmp_path / "replay" / "instruments.toml"
    write_selection([capture], path)
    selection = read_selection(path, exchanges=["binance_spot"])
    listed = [Instrument(symbol=symbol) for symbol in ("ETHUSDT", "A*B", "AXB", "BTCUSDT")]
    wanted = resolve(selection, "binance_spot", listed, deliverable=frozenset(Channel))
    assert {(one.symbol, one.channel.value) for one in wanted} == {
        ("ETHUSDT", "trade"),
        ("ETHUSDT", "candle"),
        ("A*B", "trade"),
        ("A*B", "candle"),
    }

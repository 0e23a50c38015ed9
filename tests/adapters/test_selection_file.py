from __future__ import annotations

import os
from pathlib import Path

import pytest

from trade_platform.adapters.selection_file import SelectionFile, UnusableSelection, read_selection
from trade_platform.domain.model import Channel

GOOD = '[[record]]\nexchange = "fictional"\nsymbols = ["AAA"]\nchannels = ["trade"]\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "instruments.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_projects_own_file_is_good(repository: Path) -> None:
    selection = read_selection(
        repository / "config" / "instruments.toml", exchanges=("binance_spot", "binance_usdm", "deribit")
    )
    assert len(selection.record) > 3


def test_rules_are_read(tmp_path: Path) -> None:
    selection = read_selection(written(tmp_path, "quote_interval_ms = 5\n" + GOOD))
    assert selection.quote_interval_ms == 5
    assert selection.record[0].channels == (Channel.TRADE,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("record = }", "is not TOML: .*line 1"),
        (
            '[[record]]\nexchange = "x"\nsymbols = ["A"]\nchannels = ["trades"]\n',
            "record 1, channels 1: .*trades",
        ),
        (
            '[[record]]\nexchange = "x"\nsymbols = "A"\nchannels = ["trade"]\n',
            "record 1, symbols: Expected `array`",
        ),
        ('[[record]]\nexchange = "x"\nchannels = ["trade"]\n', "record 1: .*symbols"),
        (GOOD + 'symbol = "A"\n', "record 1: .*unknown field `symbol`"),
        (
            GOOD.replace("fictional", "bianance"),
            "record 1 names the exchange 'bianance'; known are fictional",
        ),
        (GOOD.replace('"AAA"', ""), "record 1 needs at least one symbol"),
        ("quote_interval_ms = -1\n", "quote_interval_ms must be 0 or more"),
        ('quote_interval_ms = "soon"\n', "quote_interval_ms: Expected `int`"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UnusableSelection, match=sentence):
        read_selection(written(tmp_path, text), exchanges=("fictional", "x"))


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(UnusableSelection, match="cannot be read"):
        read_selection(tmp_path / "nothing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UnusableSelection, match="not UTF-8"):
        read_selection(tmp_path / "binary.toml")


def test_a_save_is_noticed_once(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    file = SelectionFile(path)
    assert file.changed()
    file.read()
    assert not file.changed()
    path.write_text(GOOD + "\n")
    assert file.changed()
    file.read()
    os.utime(path, ns=(1, 1))
    assert file.changed()
    path.write_text("broken [")
    with pytest.raises(UnusableSelection):
        file.read()
    assert not file.changed()  # complained of once
    path.unlink()
    assert not file.changed()  # an editor may be half-way through replacing it

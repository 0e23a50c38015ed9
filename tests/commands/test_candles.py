"""``trade-platform candles``, as a person and as a script."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.pictures.looking import decoded
from tests.recorded import HOUR_ONE, every, record
from trade_platform.adapters.database.connection import Connection
from trade_platform.commands.candle_table import SPARKS, plain, sparkline
from trade_platform.commands.candles import SHOWN, candles
from trade_platform.domain.model import MINUTE


@pytest.fixture(autouse=True)
def settings(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(candles, arguments)


@pytest.fixture
def an_hour(connection: Connection) -> None:
    """Trades of sixty minutes; one is missing in the thirtieth."""
    record(connection, every(10, HOUR_ONE, HOUR_ONE + 60 * MINUTE, missing=[177]))


@pytest.mark.usefixtures("an_hour")
def test_the_newest_are_shown_with_what_is_not_proven() -> None:
    answer = ask("BTCUSDT")
    assert answer.exit_code == 0, answer.output
    lines = answer.output.splitlines()
    assert "BTCUSDT 1m  binance_spot  100.5  +0.00 %" in lines[0]
    rows = [line for line in map(str.strip, lines) if line.startswith("2026-")]
    assert len(rows) == SHOWN
    assert "14:20" in rows[0]
    assert sum("not yet" in row for row in rows) == 2
    assert "40 candles of 1m, BTCUSDT on binance_spot" in answer.output
    assert "2 not proven complete" in answer.output


@pytest.mark.usefixtures("an_hour")
def test_json_and_csv_are_exact_and_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "candles.csv"
    answer = ask("BTCUSDT", "--json", "--csv", str(file), "--last", "60")
    told = json.loads(answer.output)
    assert (told["symbol"], told["exchange"], told["interval"]) == ("BTCUSDT", "binance_spot", "1m")
    assert len(told["candles"]) == 60
    first = told["candles"][0]
    assert first["open_time"].endswith("Z")
    assert (first["open"], first["quote_volume"], first["trades"]) == ("100.5", "150.75", 6)
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [row["open_time"] for row in rows] == [one["open_time"] for one in told["candles"]]
    assert sum(Decimal(row["volume"]) for row in rows) == Decimal("0.25") * 359
    assert [row["complete"] for row in rows].count("false") == 3


@pytest.mark.usefixtures("an_hour")
def test_a_plot_is_a_picture_of_the_range(tmp_path: Path) -> None:
    png, svg = tmp_path / "chart.png", tmp_path / "chart.SVG"
    answer = ask("BTCUSDT", "--plot", str(png))
    assert answer.exit_code == 0, answer.output
    assert f"{png}: 60 candles of 1m" in answer.output
    assert decoded(png.read_bytes()).width == 1019
    assert ask("BTCUSDT", "--plot", str(svg), "--last", "3").exit_code == 0
    assert b"<svg" in svg.read_bytes()


@pytest.mark.usefixtures("an_hour")
def test_a_range_is_half_open_and_utc() -> None:
    told = json.loads(
        ask("BTCUSDT", "--from", "2026-09-21T14:10", "--to", "2026-09-21T14:13", "--json").output
    )
    times = [one["open_time"] for one in told["candles"]]
    assert times == [f"2026-09-21T14:{minute}:00Z" for minute in (10, 11, 12)]
    told = json.loads(ask("BTCUSDT", "--complete", "--last", "1", "--json").output)
    assert told["candles"][0]["open_time"] == "2026-09-21T14:58:00Z"


@pytest.mark.usefixtures("an_hour")
@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["BTCUSDT", "--interval", "5m"], 1, "there are 60 of 1m made of trades, 2026-09-21 14:00 to"),
        (["BTCUSDT", "--from", "2030-01-01"], 1, "there are 60 of 1m"),
        (["BTCUSD"], 2, "did you mean BTCUSDT (binance_spot)?"),
        (["BTCUSDT", "--from", "noon"], 2, "write 2026-11-22 or 2026-11-22T14:30"),
        (["BTCUSDT", "--plot", "chart.gif"], 2, "ends with .png or .svg"),
        (["BTCUSDT", "--plot", "nowhere/chart.png"], 2, "cannot be written (No such file or directory)"),
        (["BTCUSDT", "--last", "2", "--from", "2026-01-01"], 2, "exclude each other"),
        (["BTCUSDT", "--interval", "7m"], 2, "7m"),
    ],
)
def test_what_is_not_there_or_not_possible_is_one_sentence(
    arguments: list[str], code: int, part: str
) -> None:
    answer = ask(*arguments)
    assert answer.exit_code == code, answer.output
    assert part in " ".join(answer.output.split())


def test_an_instrument_without_candles_says_what_to_do(connection: Connection) -> None:
    connection.execute("INSERT INTO instrument (exchange, symbol) VALUES ('deribit', 'BTC-PERPETUAL')")
    answer = ask("BTC-PERPETUAL")
    assert answer.exit_code == 1
    assert "No candles of BTC-PERPETUAL (deribit) are stored" in answer.output


def test_too_many_for_a_picture_is_said(connection: Connection, tmp_path: Path) -> None:
    record(connection, every(60, HOUR_ONE, HOUR_ONE + 2001 * MINUTE))
    answer = ask("BTCUSDT", "--last", "2001", "--plot", str(tmp_path / "chart.png"))
    assert answer.exit_code == 2
    assert "choose a wider --interval" in answer.output


def test_a_line_of_sparks_rises_with_the_price() -> None:
    values = [Decimal(n) for n in range(8)]
    assert sparkline(values) == SPARKS
    assert sparkline([Decimal(5)] * 3) == SPARKS[0] * 3
    assert sparkline([Decimal(n) for n in range(600)], width=8) == SPARKS
    assert sparkline([Decimal(1)]) == SPARKS[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.500", "1.5"), ("100", "100"), ("0E-18", "0"), ("1E+3", "1000"), ("0.00000001", "0.00000001")],
)
def test_decimals_are_written_without_padding_and_exponents(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text

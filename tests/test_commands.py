"""Verbs whose work is tested elsewhere: that they are there, and what they say to people and scripts."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from rich.console import Console

from trade_platform.adapters.upgrade_desk import LaneProgress, LaneState, Progress
from trade_platform.cli import cli
from trade_platform.commands.upgrade_screen import draw


@pytest.fixture(autouse=True)
def own_folder(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))


@pytest.mark.parametrize("verb", sorted(cli.commands.keys() - {"simulate"}))
def test_every_verb_explains_itself(verb: str) -> None:
    answer = CliRunner().invoke(cli, [verb, "--help"])
    assert answer.exit_code == 0
    assert answer.output.startswith("Usage:")


def test_down_says_when_there_is_nothing_to_stop() -> None:
    assert CliRunner().invoke(cli, ["down"]).output == "nothing was running\n"


def test_an_upgrade_of_nothing_is_refused() -> None:
    answer = CliRunner().invoke(cli, ["upgrade"])
    assert "Nothing is running here" in str(answer.exception)


def test_an_upgrade_is_drawn_as_a_table_of_lanes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (
        LaneProgress(lane="streamer-deribit", old="streamer-deribit", new="streamer-deribit-b"),
        LaneProgress(lane="repair", old="repair-b", new="repair", state=LaneState.FAILED, detail="it ended"),
    )
    Console(width=100).print(draw(Progress(identity="one", lanes=rows)))
    said = capsys.readouterr().out
    assert re.search(r"streamer-deribit +streamer-deribit-b +waiting", said)
    assert re.search(r"repair +repair +failed +it ended", said)


def test_verify_answers_a_script_in_json_and_an_empty_database_is_not_complete(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    answer = CliRunner().invoke(cli, ["verify", "--json"])
    assert answer.exit_code == 1
    assert json.loads(answer.output) == {"instruments": [], "findings": [], "against": "coverage"}


def test_status_answers_a_script_in_json(
    postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    answer = CliRunner().invoke(cli, ["status", "--json"])
    assert answer.exit_code == 0, answer.output
    seen = json.loads(answer.output)
    assert seen["streams"] == []
    assert (seen["gaps"], seen["dead_letters"]) == (0, 0)


def test_the_doctor_finds_servers_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    for exchange in ("BINANCE_SPOT", "BINANCE_USDM", "DERIBIT"):
        monkeypatch.setenv(f"{exchange}_REST_URL", "http://127.0.0.1:9")
    answer = CliRunner().invoke(cli, ["doctor", "--json"])
    assert answer.exit_code == 1
    verdicts = {finding["what"]: finding["verdict"] for finding in json.loads(answer.output.splitlines()[-1])}
    assert verdicts["postgresql"] == "bad"
    assert verdicts["redis"] == "bad"
    assert verdicts["data folder"] in ("good", "warning")
    assert verdicts["deribit and the clock"] == "warning"


def test_the_doctor_looks_at_the_archive_that_a_setting_names(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE", f"{tmp_path}/mistyped")
    for exchange in ("BINANCE_SPOT", "BINANCE_USDM", "DERIBIT"):
        monkeypatch.setenv(f"{exchange}_REST_URL", "http://127.0.0.1:9")
    answer = CliRunner().invoke(cli, ["doctor", "--json"])
    verdicts = {finding["what"]: finding["verdict"] for finding in json.loads(answer.output.splitlines()[-1])}
    assert (answer.exit_code, verdicts["archive"]) == (1, "bad")


def test_the_doctor_is_content_with_the_test_servers(
    postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    for exchange in ("BINANCE_SPOT", "BINANCE_USDM", "DERIBIT"):
        monkeypatch.setenv(f"{exchange}_REST_URL", "http://127.0.0.1:9")
    answer = CliRunner().invoke(cli, ["doctor", "--json"])
    verdicts = {finding["what"]: finding["verdict"] for finding in json.loads(answer.output.splitlines()[-1])}
    assert verdicts["postgresql"] == "good"
    assert verdicts["redis"] in ("good", "warning")

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from click.testing import CliRunner

from trade_platform import cli as program


def test_every_verb_is_registered_with_a_line_of_its_own() -> None:
    answer = CliRunner().invoke(program.cli, ["--help"])
    assert answer.exit_code == 0
    for verb in program.VERBS:
        assert f"\n  {verb.name} " in answer.output
        assert verb.help


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """The program silences what is below it; other tests want to hear it."""
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["fly"], 2, "No such command"),
        (["upgrade"], 2, "trade-platform: Nothing is running here: start it with `trade-platform up`."),
        (["status"], 2, "trade-platform: Nothing is running here"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    arguments: list[str],
    code: int,
    part: str,
    tmp_path: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["trade-platform", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert part in said
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["gaps"], ["gaps", "repair"], ["status"], ["verify"]])
@pytest.mark.parametrize(
    ("database", "redis", "part"),
    [
        ("postgresql://me:hid@127.0.0.1:9/x", "redis://127.0.0.1:9/0", "PostgreSQL does not answer ("),
        ("postgresql://me:hid%zz@127.0.0.1:9/x", "redis://127.0.0.1:9/0", "DATABASE_URL is no database URL"),
        ("postgresql://me:a@hid.invalid@127.0.0.1:9/x", "redis://127.0.0.1:9/0", "correct DATABASE_URL;"),
    ],
)
def test_a_database_that_does_not_answer(
    database: str,
    redis: str,
    part: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis)
    assert_one_sentence(arguments, part, monkeypatch, capsys)


@pytest.mark.parametrize("arguments", [["gaps", "repair"], ["status"]])
def test_a_redis_that_does_not_answer(
    arguments: list[str],
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("REDIS_URL", "redis://:hid@127.0.0.1:9/0")
    part = "correct REDIS_URL; `trade-platform doctor` checks it."
    assert_one_sentence(arguments, part, monkeypatch, capsys)


@pytest.mark.parametrize("arguments", [["gaps"], ["gaps", "repair"]])
def test_a_database_without_our_tables_is_said_alike(
    arguments: list[str],
    empty_postgres_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_postgres_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    part = "trade-platform: the database has no schema of ours, "
    assert_one_sentence(arguments, part, monkeypatch, capsys)


@pytest.mark.parametrize("arguments", [["gaps", "--json"], ["gaps", "repair"]])
def test_a_mistyped_symbol_is_wrong_use_and_not_a_clean_bill(
    arguments: list[str],
    postgres_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    part = "trade-platform: Nothing is known of NOPE."
    assert_one_sentence([*arguments, "--symbol", "NOPE"], part, monkeypatch, capsys)


def assert_one_sentence(
    arguments: list[str], part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["trade-platform", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert part in said.err
    assert said.err.count("\n") == 1
    assert "hid" not in said.err

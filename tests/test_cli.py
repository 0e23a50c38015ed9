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

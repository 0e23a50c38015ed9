from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from trade_platform.adapters.logs import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is one per process: give the others theirs back."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_our_events_are_json_lines_with_time_level_and_process(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", "streamer-deribit")
    structlog.get_logger().info("connected", url="ws://host", attempts=2)
    [line] = lines(capsys)
    assert line.pop("time")
    assert line == {
        "event": "connected",
        "level": "info",
        "process": "streamer-deribit",
        "url": "ws://host",
        "attempts": 2,
    }


def test_what_libraries_log_and_warn_takes_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", "here")
    logging.getLogger("some.library").warning("%d things", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        configure("info", "json", "here")
        warnings.warn("old", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    foreign, warning = lines(capsys)
    assert (foreign["event"], foreign["logger"], foreign["process"]) == ("3 things", "some.library", "here")
    assert "UserWarning: old" in str(warning["event"])


def test_lines_below_the_level_are_left_out_and_a_second_call_replaces_the_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("info", "json")
    configure("warning", "json")
    structlog.get_logger().info("unheard")
    logging.getLogger("library").info("unheard")
    structlog.get_logger().warning("heard")
    assert [line["event"] for line in lines(capsys)] == ["heard"]


def test_a_value_that_json_does_not_know_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    structlog.get_logger().info("odd", value={1, 2}.__class__)
    [line] = lines(capsys)
    assert line["value"] == "<class 'set'>"


def test_an_exception_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    [line] = lines(capsys)
    assert "ZeroDivisionError" in str(line["exception"])


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text", "here")
    structlog.get_logger().info("connected", attempts=2)
    text = capsys.readouterr().err
    assert "connected" in text
    assert "attempts=2" in text
    assert "\x1b" not in text

from __future__ import annotations

import pytest
from structlog.testing import CapturedCall, CapturingLogger

from streamers import selection_report
from streamers.selection_report import named, report_reading
from trade_platform.domain.model import Channel, Instrument, InstrumentKind
from trade_platform.domain.selection import Rule, Selection, Wanted

INSTRUMENTS = [Instrument(symbol=symbol, kind=InstrumentKind.SPOT) for symbol in ("AAA", "BBB")]


def rule(exchange: str, *symbols: str, kinds: tuple[InstrumentKind, ...] = ()) -> Rule:
    return Rule(exchange=exchange, symbols=symbols, channels=(Channel.TRADE,), kinds=kinds)


def trades(*symbols: str) -> list[Wanted]:
    return [Wanted(symbol, Channel.TRADE) for symbol in symbols]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[CapturedCall]:
    logger = CapturingLogger()
    monkeypatch.setattr(selection_report, "log", logger)
    return logger.calls


def test_a_reading_names_what_it_adds_and_takes_away(said: list[CapturedCall]) -> None:
    selection = Selection(record=(rule("one", "BBB"),))
    report_reading(selection, "one", INSTRUMENTS, trades("BBB"), before=trades("AAA"))
    (call,) = said
    assert call.args == ("The selection was read again.",)
    assert call.kwargs == {"exchange": "one", "added": "1: BBB trade", "removed": "1: AAA trade"}


def test_a_rule_that_asks_for_nothing_that_there_is_is_named(said: list[CapturedCall]) -> None:
    options = rule("one", "A*", kinds=(InstrumentKind.OPTION,))
    selection = Selection(record=(rule("one", "AAA", "TYPO*"), options, rule("other", "CCC")))
    report_reading(selection, "one", INSTRUMENTS, trades("AAA"), before=None)
    assert [call.method_name for call in said] == ["warning", "warning"]
    assert [call.kwargs for call in said] == [
        {"exchange": "one", "pattern": "TYPO*"},
        {"exchange": "one", "pattern": "A*"},
    ]


def test_many_names_are_the_first_few_and_a_count() -> None:
    assert named([]) == "none"
    assert named(trades(*"GFEDCBA")) == "7: A trade, B trade, C trade, D trade, E trade and 2 more"

from __future__ import annotations

import msgspec
import pytest

from trade_platform.domain.model import Channel, Instrument, InstrumentKind
from trade_platform.domain.selection import Rule, Selection, Wanted, matches, resolve

OPTION = Instrument(symbol="BTC-27DEC24-60000-C", kind=InstrumentKind.OPTION)
PERPETUAL = Instrument(symbol="BTC-PERPETUAL", kind=InstrumentKind.PERPETUAL)
INDEX = Instrument(symbol="btc_usd", kind=InstrumentKind.INDEX)
EVERYTHING = frozenset(Channel)


def a_rule(**fields: object) -> Rule:
    return msgspec.convert(
        {"exchange": "deribit", "symbols": ["*"], "channels": ["trade"], **fields}, Rule, strict=True
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"BTC-27DEC24-60000-C", "BTC-PERPETUAL", "btc_usd"}),
        ({"symbols": ["BTC-*"]}, {"BTC-27DEC24-60000-C", "BTC-PERPETUAL"}),
        ({"symbols": ["btc-*"]}, set()),  # case is kept
        ({"symbols": ["BTC-PERPETUA?"]}, {"BTC-PERPETUAL"}),
        ({"symbols": ["BTC-*"], "except_symbols": ["*-[CP]"]}, {"BTC-PERPETUAL"}),
        ({"kinds": ["option"]}, {"BTC-27DEC24-60000-C"}),
        ({"kinds": ["option", "index"]}, {"BTC-27DEC24-60000-C", "btc_usd"}),
        ({"symbols": ["BTC-PERPETUAL"], "kinds": ["option"]}, set()),
        ({"symbols": []}, set()),
    ],
)
def test_a_rule_matches_by_pattern_exception_and_kind(fields: dict[str, object], expected: set[str]) -> None:
    rule = a_rule(**fields)
    assert {one.symbol for one in (OPTION, PERPETUAL, INDEX) if matches(rule, one)} == expected


def test_resolve_is_the_union_of_the_rules_of_one_exchange_without_repetition() -> None:
    selection = Selection(
        record=(
            a_rule(symbols=["BTC-P*"], channels=["trade", "ticker"]),
            a_rule(symbols=["BTC-*"], channels=["trade"]),
            a_rule(exchange="binance_spot", channels=["candle"]),
        )
    )
    assert resolve(selection, "deribit", [PERPETUAL, OPTION, INDEX], deliverable=EVERYTHING) == [
        Wanted("BTC-27DEC24-60000-C", Channel.TRADE),
        Wanted("BTC-PERPETUAL", Channel.TICKER),
        Wanted("BTC-PERPETUAL", Channel.TRADE),
    ]


def test_resolve_leaves_out_what_the_exchange_cannot_deliver() -> None:
    selection = Selection(record=(a_rule(channels=["trade", "aggregate_trade"]),))
    assert resolve(selection, "deribit", [PERPETUAL], deliverable=frozenset({Channel.TRADE})) == [
        Wanted("BTC-PERPETUAL", Channel.TRADE)
    ]


@pytest.mark.parametrize("fields", [{"channels": ["trades"]}, {"symbol": ["x"]}, {"kinds": ["swap"]}])
def test_a_word_that_is_not_ours_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        a_rule(**fields)

"""Histories by REST: which questions follow each other, and where they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from tests.exchanges.deribit.private.payloads import LOG, ORDER, TRADE
from trade_platform.domain.accounts import AccountRecord, Fill, Movement, OrderEvent, OrderState, Origin
from trade_platform.exchanges.account import Ask, Known, Page
from trade_platform.exchanges.deribit.private import histories
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts
from trade_platform.exchanges.limits import WEIGHT
from trade_platform.exchanges.session import ProtocolViolation

SINCE, UNTIL = 1_613_657_000_000_000, 1_613_660_000_000_000
NOW = UNTIL + 1_000_000
Answers = Callable[[str, dict[str, Any]], Any]
Asked = list[tuple[str, dict[str, Any]]]


def walk(asks: Sequence[Ask], answers: Answers, most: int = 100) -> tuple[list[AccountRecord], Asked]:
    """Ask until there is nothing further: what was told, and what was asked (method, query)."""
    told: list[AccountRecord] = []
    asked: Asked = []
    for first in asks:
        ask: Ask | None = first
        while ask is not None:
            method = ask.request.path.rpartition("/")[2]
            asked.append((method, dict(ask.request.query)))
            assert len(asked) <= most, "it does not end"
            page = read(ask, answers(method, dict(ask.request.query)))
            told += page.records
            ask = page.further
    return told, asked


def read(ask: Ask, result: Any) -> Page:
    return ask.read(json.dumps({"jsonrpc": "2.0", "result": result, "usOut": NOW - 5}).encode(), NOW)


def with_currencies(answers: Answers, *currencies: str) -> Answers:
    def answer(method: str, query: dict[str, Any]) -> Any:
        if method == "get_account_summaries":
            return {"summaries": [{"currency": one, "balance": 0} for one in currencies]}
        return answers(method, query)

    return answer


def an_order(number: int, changed: int, **fields: Any) -> dict[str, Any]:
    return {**ORDER, "order_id": str(number), "last_update_timestamp": changed // 1000, **fields}


def test_orders_come_from_both_histories_and_that_of_triggers_of_each_currency() -> None:
    def answers(method: str, query: dict[str, Any]) -> Any:
        if method == "get_trigger_order_history":
            entry = an_order(9, SINCE, order_state="triggered", trigger_order_id="SLIS-9")
            return {"entries": [entry] if query["currency"] == "BTC" else [], "continuation": None}
        number = 1 if query["historical"] == "false" else 2
        return [an_order(number, SINCE + 5000)] if query["currency"] == "ETH" else []

    told, asked = walk(
        DeribitAccounts().orders(Known(), SINCE, UNTIL), with_currencies(answers, "BTC", "ETH")
    )
    assert [(method, query.get("currency"), query.get("historical")) for method, query in asked] == [
        ("get_account_summaries", None, None),
        ("get_order_history_by_currency", "BTC", "false"),
        ("get_order_history_by_currency", "BTC", "true"),
        ("get_trigger_order_history", "BTC", None),
        ("get_order_history_by_currency", "ETH", "false"),
        ("get_order_history_by_currency", "ETH", "true"),
        ("get_trigger_order_history", "ETH", None),
    ]
    assert all(
        query["include_old"] == query["include_unfilled"] == "true"
        for method, query in asked
        if method == "get_order_history_by_currency"
    )
    found = {one.order_id: one for one in told if isinstance(one, OrderEvent)}
    assert set(found) == {"SLIS-9", "1", "2"}
    assert found["SLIS-9"].state is OrderState.TRIGGERED
    assert {one.origin for one in found.values()} == {Origin.HISTORY}


@pytest.mark.parametrize("wrapped", [False, True])
def test_orders_go_on_until_a_whole_page_is_too_old(wrapped: bool) -> None:
    page = histories.ORDERS_A_PAGE
    # Sorted by their creation, which is not when they changed: one of the second page belongs to us.
    times = [SINCE - 1000] * (page + 5) + [SINCE] + [SINCE - 1000] * (3 * page)
    times[0] = UNTIL - 1000
    times[1] = UNTIL
    rows = [an_order(number, at) for number, at in enumerate(times)]

    def answers(method: str, query: dict[str, Any]) -> Any:
        if method == "get_trigger_order_history" or query["historical"] == "true":
            return {"entries": []}
        found = rows[query["offset"] : query["offset"] + query["count"]]
        return {"orders": found, "continuation": None} if wrapped else found

    told, asked = walk(DeribitAccounts().orders(Known(), SINCE, UNTIL), with_currencies(answers, "BTC"))
    assert [one.order_id for one in told if isinstance(one, OrderEvent)] == ["0", str(page + 5)]
    assert [query["offset"] for _, query in asked if "offset" in query] == [0, page, 2 * page, 0]


def test_triggers_go_on_by_their_continuation() -> None:
    def answers(method: str, query: dict[str, Any]) -> Any:
        if method != "get_trigger_order_history":
            return []
        at = {None: 3, "a": 2, "b": 1}[query.get("continuation")]
        entry = an_order(at, SINCE + at * 1000, order_id=f"SL-{at}")
        return {"entries": [entry], "continuation": {3: "a", 2: "b", 1: None}[at]}

    told, _ = walk(DeribitAccounts().orders(Known(), SINCE, UNTIL), with_currencies(answers, "BTC"))
    assert [one.order_id for one in told if isinstance(one, OrderEvent)] == ["SL-3", "SL-2", "SL-1"]


def test_fills_come_from_both_histories_page_by_page_oldest_first() -> None:
    rows = [
        {**TRADE, "trade_id": str(n), "timestamp": SINCE // 1000 + n // 3}  # several share a millisecond
        for n in range(histories.FILLS_A_PAGE * 2)
    ]

    def answers(method: str, query: dict[str, Any]) -> Any:
        assert method == "get_user_trades_by_currency_and_time"
        assert query["sorting"] == "asc"
        split = len(rows) // 4
        held = rows[:split] if query["historical"] == "true" else rows[split:]
        found = [
            row for row in held if query["start_timestamp"] <= row["timestamp"] <= query["end_timestamp"]
        ]
        return {"trades": found[: query["count"]], "has_more": len(found) > query["count"]}

    told, asked = walk(DeribitAccounts().fills(Known(), SINCE, UNTIL), with_currencies(answers, "BTC"))
    assert {one.fill_id for one in told if isinstance(one, Fill)} == {row["trade_id"] for row in rows}
    assert [query["historical"] for _, query in asked[1:]] == ["false", "false", "true"]
    assert {one.origin for one in told if isinstance(one, Fill)} == {Origin.HISTORY}


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [(5_000, 8_000, 5, 7), (5_001, 8_001, 5, 8), (5_999, 6_000, 5, 5), (5_000, 5_000, 5, 5)],
)
def test_an_interval_in_milliseconds_whose_ends_are_inclusive(
    since: int, until: int, first: int, last: int
) -> None:
    def answers(method: str, query: dict[str, Any]) -> Any:
        assert (query["start_timestamp"], query["end_timestamp"]) == (first, last)
        return (
            {"trades": [], "has_more": False} if "historical" in query else {"logs": [], "continuation": None}
        )

    exchange = DeribitAccounts()
    for asks in (exchange.fills(Known(), since, until), exchange.movements(Known(), since, until)):
        assert len(walk(asks, with_currencies(answers, "BTC"))[1]) > 1


def test_more_fills_of_one_millisecond_than_a_page_holds_are_not_passed_over() -> None:
    def answers(method: str, query: dict[str, Any]) -> Any:
        return {"trades": [{**TRADE, "timestamp": query["start_timestamp"]}], "has_more": True}

    with pytest.raises(ProtocolViolation, match="one millisecond"):
        walk(DeribitAccounts().fills(Known(), SINCE, UNTIL), with_currencies(answers, "BTC"))


def test_the_ledger_goes_on_by_its_continuation() -> None:
    rows = [
        {**LOG["logs"][1], "id": 1000 - n, "user_seq": 1000 - n, "timestamp": UNTIL // 1000 - n}
        for n in range(histories.ROWS_A_PAGE * 2 + 7)
    ]

    def answers(method: str, query: dict[str, Any]) -> Any:
        assert method == "get_transaction_log"
        assert query["count"] == 250
        before = int(query.get("continuation", 10**9))
        found = [row for row in rows if row["id"] <= before]
        following = found[query["count"]]["id"] if len(found) > query["count"] else None
        return {"logs": found[: query["count"]], "continuation": following}

    asks = DeribitAccounts().movements(Known(), SINCE, UNTIL)
    told, asked = walk(asks, with_currencies(answers, "BTC"))
    assert [one.sequence for one in told if isinstance(one, Movement)] == [row["user_seq"] for row in rows]
    assert len(asked) == 1 + 3


def test_a_ledger_that_turns_in_a_circle_is_a_violation() -> None:
    def answers(method: str, query: dict[str, Any]) -> Any:
        return {"logs": LOG["logs"], "continuation": 61282}

    with pytest.raises(ProtocolViolation, match="where it began"):
        walk(DeribitAccounts().movements(Known(), SINCE, UNTIL), with_currencies(answers, "BTC"))


def test_the_sample_of_the_ledger() -> None:
    def answers(method: str, query: dict[str, Any]) -> Any:
        return LOG if "continuation" not in query else {"logs": []}

    told, _ = walk(DeribitAccounts().movements(Known(), SINCE, UNTIL), with_currencies(answers, "BTC"))
    settlement, trade = told
    assert isinstance(settlement, Movement)
    assert isinstance(trade, Movement)
    assert settlement.balance is not None
    assert settlement.change == Decimal("0.00215706")
    assert (trade.balance, trade.sequence) == (Decimal("3003.07054712"), 6006)


def test_collateral_is_asked_about_where_some_is_held() -> None:
    summaries = [
        {"currency": "USDT", "balance": 0, "equity": 0},
        {"currency": "SOL", "balance": 0, "equity": 0, "initial_margin": 0.009},
        {"currency": "XRP", "balance": 5.5, "equity": 5.5},
        {"currency": "PAXG", "balance": 0, "equity": 0, "session_rpl": -0.5},
    ]

    def answers(method: str, query: dict[str, Any]) -> Any:
        return {"summaries": summaries} if method == "get_account_summaries" else {"logs": []}

    _, asked = walk(DeribitAccounts().movements(Known(), SINCE, UNTIL), answers)
    assert [query["currency"] for _, query in asked[1:]] == ["USDT", "XRP", "PAXG"]


def test_an_account_without_currencies_has_no_history() -> None:
    told, asked = walk(DeribitAccounts().fills(Known(), SINCE, UNTIL), with_currencies(lambda *_: None))
    assert (told, len(asked)) == ([], 1)


def test_one_row_that_cannot_be_read_spoils_its_page() -> None:
    def answers(method: str, query: dict[str, Any]) -> Any:
        return {"trades": [TRADE, {**TRADE, "price": None}], "has_more": False}

    with pytest.raises(ProtocolViolation):
        walk(DeribitAccounts().fills(Known(), SINCE, UNTIL), with_currencies(answers, "BTC"))


def test_the_ledger_counts_against_a_limit_of_its_own() -> None:
    limits = {limit.name for limit in DeribitAccounts().limits}
    asks = DeribitAccounts().movements(Known(), SINCE, UNTIL)
    page = read(asks[0], {"summaries": [{"currency": "BTC", "balance": 0}]})
    assert page.further is not None
    assert (page.further.request.limit, page.further.request.weight) == (histories.TRANSACTION_LOG, 1)
    assert asks[0].request.limit == WEIGHT
    assert {histories.TRANSACTION_LOG, WEIGHT} <= limits

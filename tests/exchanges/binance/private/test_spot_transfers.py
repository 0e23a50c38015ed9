"""What came and went by no trade: told once, whichever way it is heard of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from tests.exchanges.binance.private.serving import RECEIVED
from tests.exchanges.binance.private.talk import NOW
from trade_platform.domain.accounts import AccountRecord, Movement, MovementKind, Origin
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.exchanges.account import AccountOutput, AccountSession, Ask, Fetch, Known
from trade_platform.exchanges.binance.private import SpotAccounts, spot_transfers
from trade_platform.exchanges.session import ProtocolViolation

SPOT = SpotAccounts()
AT = 1_700_000_000_000
DEPOSIT = {
    "id": "769",
    "amount": "0.5",
    "coin": "BTC",
    "network": "BTC",
    "status": 1,
    "insertTime": AT - 60_000,
}
WITHDRAWAL = {
    "id": "b6ae22b3", "amount": "8.91", "transactionFee": "0.004", "coin": "USDT", "status": 6,
    "applyTime": "2023-11-14 22:13:20", "network": "ETH",
}  # fmt: skip
TRANSFER = {
    "asset": "USDT",
    "amount": "1",
    "type": "MAIN_UMFUTURE",
    "status": "CONFIRMED",
    "tranId": 11415955596,
    "timestamp": AT,
}

Lists = Mapping[str, Sequence[Mapping[str, Any]]]


def serve(lists: Lists, ask: Ask) -> bytes:
    """By the last word of the path, or by the type of a transfer."""
    query = ask.request.query
    assert 0 <= query["endTime"] - query["startTime"] < 90 * 24 * 3600 * 1000
    if "type" in query:
        rows = [row for row in lists.get("transfer", ()) if row["type"] == query["type"]]
        start = (query["current"] - 1) * query["size"]
        return json.dumps({"total": len(rows), "rows": rows[start : start + query["size"]]}).encode()
    rows = lists.get(ask.request.path.split("/")[4], ())
    return json.dumps(rows[query["offset"] : query["offset"] + query["limit"]]).encode()


def performed(outputs: Sequence[AccountOutput], lists: Lists) -> list[AccountRecord]:
    """What comes of all questions."""
    records: list[AccountRecord] = []
    for output in outputs:
        if isinstance(output, Fetch):
            page = output.ask.read(serve(lists, output.ask), NOW)
            records += performed(output.then(page.records), lists)
        else:
            assert isinstance(output, Movement)
            records.append(output)
    return records


def told(change: str, asset: str = "BTC", at: int = AT) -> str:
    return (
        f'{{"subscriptionId":0,"event":{{"e":"balanceUpdate","E":1,"a":"{asset}","d":"{change}","T":{at}}}}}'
    )


def test_a_deposit_bears_the_id_of_its_list(spot: AccountSession) -> None:
    lists = {"deposit": [DEPOSIT]}
    (live,) = performed(spot.receive(told("0.50000000"), NOW), lists)
    (asks,) = [SPOT.movements(Known(), (AT - DAY) * 1000, (AT + 1) * 1000)]
    later = [one for ask in asks for one in ask.read(serve(lists, ask), NOW).records]
    assert later == [live]
    assert live == Movement(
        movement_id="deposit:769",
        kind=MovementKind.DEPOSIT,
        word="deposit",
        asset="BTC",
        change=Decimal("0.5"),
        event_time=(AT - 60_000) * 1000,
        receive_time=NOW,
    )


@pytest.mark.parametrize(
    ("change", "asset", "name", "kind"),
    [
        ("-8.914", "USDT", "withdrawal:b6ae22b3", MovementKind.WITHDRAWAL),
        ("-1", "USDT", "MAIN_UMFUTURE:11415955596:USDT", MovementKind.TRANSFER),
    ],
)
def test_what_leaves(spot: AccountSession, change: str, asset: str, name: str, kind: MovementKind) -> None:
    lists = {"withdraw": [WITHDRAWAL], "transfer": [TRANSFER]}
    (one,) = performed(spot.receive(told(change, asset), NOW), lists)
    assert isinstance(one, Movement)
    assert (one.movement_id, one.kind, one.change) == (name, kind, Decimal(change))
    assert one.fee == (Decimal("0.004") if kind is MovementKind.WITHDRAWAL else None)
    assert one.event_time == AT * 1000


def test_what_no_list_knows_stays_what_it_was_heard_as(
    spot: AccountSession, message: Callable[[str], str]
) -> None:
    lists = {"deposit": [DEPOSIT]}
    assert performed(spot.receive(message("binance_spot/balance_update_wrapped"), NOW), lists) == []
    assert performed(spot.due(1.0, NOW + MINUTE - 1), lists) == [], "lists may be behind"
    assert performed(spot.due(2.0, NOW + MINUTE), lists) == [
        Movement(
            movement_id="balanceUpdate:BTC:1573200697068:100",
            kind=MovementKind.TRANSFER,
            word="balanceUpdate",
            asset="BTC",
            change=Decimal("100.00000000"),
            event_time=1_573_200_697_068_000,
            receive_time=NOW,
            origin=Origin.STREAM,
        )
    ]
    assert performed(spot.due(3.0, NOW + DAY), lists) == []


def test_what_cannot_be_asked_stays_what_it_was_heard_as(
    spot: AccountSession, message: Callable[[str], str]
) -> None:
    (fetch,) = spot.receive(message("binance_spot/balance_update"), NOW)
    assert isinstance(fetch, Fetch)
    assert fetch.failed("Binance gave no answer.") == ()
    (fetch,) = spot.due(1.0, NOW + MINUTE)
    assert isinstance(fetch, Fetch)
    (one,) = fetch.failed("Binance gave no answer.")
    assert isinstance(one, Movement)
    assert one.change == Decimal("0.001")


def test_a_list_that_is_behind_is_asked_again(spot: AccountSession) -> None:
    assert performed(spot.receive(told("0.5"), NOW), {}) == []
    (one,) = performed(spot.due(1.0, NOW + MINUTE), {"deposit": [DEPOSIT]})
    assert isinstance(one, Movement)
    assert one.movement_id == "deposit:769"


def test_each_row_explains_one_amount(spot: AccountSession) -> None:
    lists = {"deposit": [DEPOSIT, DEPOSIT | {"id": "770", "insertTime": AT + 1000}]}
    found = performed(spot.receive(told("0.5"), NOW), lists)
    found += performed(spot.receive(told("0.5", at=AT + 1), NOW), lists)
    found += performed(spot.receive(told("0.5", at=AT + 2), NOW), lists)
    found += performed(spot.due(1.0, NOW + MINUTE), lists)
    assert [one.movement_id for one in found if isinstance(one, Movement)] == [
        "deposit:770",
        "deposit:769",
        f"balanceUpdate:BTC:{AT + 2}:0.5",
    ]
    assert spot.receive(told("0.50", at=AT + 2), NOW) == [], "the same once more"


def test_only_what_was_done_counts() -> None:
    body = json.dumps([DEPOSIT | {"status": status} for status in range(9)]).encode()
    assert [len(part) if isinstance(part, list) else part for part in spot_transfers.deposits(body, NOW)] == [
        9,
        2,
    ]
    body = json.dumps([WITHDRAWAL | {"status": status} for status in range(7)]).encode()
    assert len(spot_transfers.withdrawals(body, NOW)[1]) == 4
    body = json.dumps({"total": 1, "rows": [TRANSFER | {"status": "PENDING"}]}).encode()
    assert spot_transfers.transfers(body, NOW) == (1, [])


def test_a_time_that_is_none() -> None:
    body = json.dumps([WITHDRAWAL | {"applyTime": "yesterday"}]).encode()
    with pytest.raises(ProtocolViolation, match="yesterday"):
        spot_transfers.withdrawals(body, NOW)


def test_all_pages_of_all_windows() -> None:
    lists = {
        "deposit": [DEPOSIT | {"id": str(number)} for number in range(2500)],
        "transfer": [TRANSFER | {"tranId": number} for number in range(250)],
    }
    since, until = (AT - 1) * 1000, AT * 1000 + 200 * DAY
    asked: dict[str, int] = {}
    names: list[str] = []
    for first in SPOT.movements(Known(), since, until):
        ask: Ask | None = first
        while ask is not None:
            asked[ask.what] = asked.get(ask.what, 0) + 1
            page = ask.read(serve(lists, ask), RECEIVED)
            names += [one.movement_id for one in page.records if isinstance(one, Movement)]
            ask = page.further
    assert asked["deposits"] == 9, "three windows of three pages"
    assert asked["transfers MAIN_UMFUTURE"] == 9
    assert asked["withdrawals"] == 3
    assert len(set(names)) == 2750

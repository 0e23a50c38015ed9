"""Histories as Binance keeps them, with its windows, pages and combinations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from trade_platform.domain.accounts import AccountRecord
from trade_platform.exchanges.account import Ask

DAY = 24 * 3600 * 1000
RECEIVED = 1_800_000_000_000_000
Row = Mapping[str, Any]


def serving(
    rows: Iterable[Row],
    *,
    number: str = "",
    cursor: str = "",
    time: str = "time",
    longest: int = DAY,
    asked: list[Mapping[str, Any]] | None = None,
) -> Callable[[Ask], bytes]:
    """Answers questions about these rows, oldest first; refuses what Binance refuses."""
    held = sorted(rows, key=lambda row: (row[time], row.get(number, 0)))

    def serve(ask: Ask) -> bytes:
        query = ask.request.query
        if asked is not None:
            asked.append(query)
        found = [row for row in held if "symbol" not in query or row["symbol"] == query["symbol"]]
        if cursor in query:
            assert not {"startTime", "endTime"} & query.keys(), "a number goes with no times"
            found = sorted(
                (row for row in found if row[number] >= query[cursor]), key=lambda row: row[number]
            )
        else:
            since, until = query["startTime"], query["endTime"]
            assert 0 <= until - since <= longest, "-1127"
            found = [row for row in found if since <= row[time] <= until]
        return json.dumps(found[: query["limit"]]).encode()

    return serve


def all_of(asks: Sequence[Ask], serve: Callable[[Ask], bytes]) -> list[AccountRecord]:
    """All that the questions come to, to their ends."""
    records: list[AccountRecord] = []
    for first in asks:
        ask: Ask | None = first
        for _ in range(10_000):
            page = ask.read(serve(ask), RECEIVED)
            records += page.records
            ask = page.further
            if ask is None:
                break
        else:
            raise AssertionError("it never ends")
    return records

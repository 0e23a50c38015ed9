"""The writing side of an account's stream for whoever asked its exchange: a producer of its own.

Processors stay the only writers of books. Nothing is kept here: what does not arrive is still missing at the
next comparison.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from redis import Redis

from trade_platform.adapters.bus import ACCOUNT_KIND_OF, REPAIR, Entry, account_stream, encode
from trade_platform.adapters.clock import Clock
from trade_platform.domain.accounts import AccountRecord

ENTRY_RECORDS: Final = 500


class AccountOutlet:
    """One reconciliation's way to the books of one account. Raises RedisError."""

    def __init__(self, client: Redis, exchange: str, account: str, clock: Clock) -> None:
        self.stream = account_stream(exchange, account)
        self.records = 0
        self.last_id = ""
        """Of the newest entry that was written here; empty before the first."""
        self._client = client
        self._exchange = exchange
        self._clock = clock
        self._producer = f"{REPAIR}{time.time_ns() // 1000}"  # a replay's market time may come twice
        self._n = 0

    def put(self, records: Sequence[AccountRecord]) -> None:
        """Records of any kinds go to the stream, those of one kind together."""
        for _, group in groupby(sorted(records, key=_kind), key=_kind):
            same = list(group)
            for start in range(0, len(same), ENTRY_RECORDS):
                self._put(same[start : start + ENTRY_RECORDS])

    def _put(self, records: Sequence[AccountRecord]) -> None:
        entry = Entry(
            kind=_kind(records[0]),
            producer=self._producer,
            n=self._n + 1,
            since=self._clock.market(),  # nothing before is said to be unbroken
            exchange=self._exchange,
            data=encode(records),
        )
        fields: dict[Any, Any] = dict(entry.fields())
        identity = self._client.xadd(self.stream, fields)
        self._n += 1
        self.records += len(records)
        self.last_id = identity.decode() if isinstance(identity, bytes) else str(identity)


def _kind(record: AccountRecord) -> str:
    return ACCOUNT_KIND_OF[type(record)]

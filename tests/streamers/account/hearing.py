"""A whole streamer of one account in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from redis import Redis

from streamers.account.conversation import Around
from streamers.account.driver import Driver, Timing
from streamers.account.publisher import AccountPublisher
from streamers.backoff import Backoff
from streamers.bus_link import BusLink
from streamers.spool import Spool
from tests.adapters.database.booking import NOON
from tests.streamers.account.fake import ACCOUNT, FakeAccounts, FakeServer, FakeVault
from trade_platform.adapters.account_rest import AccountRest
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.bus import Entry, account_stream, heard_key
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.vault_client import VaultClient
from trade_platform.domain.accounts import AccountRecord
from trade_platform.exchanges.account import KeyFacts

STREAM = account_stream("fake", ACCOUNT)
R = TypeVar("R", bound=AccountRecord)


class Quick(Backoff):
    """Tests do not wait."""

    def delay_after(self, **_: Any) -> float:
        return 0.01


class Hearing:
    def __init__(
        self,
        exchange: FakeAccounts,
        vault: FakeVault,
        redis_url: str,
        folder: Path,
        *,
        producer: str,
        late_seconds: float = 3600.0,
    ) -> None:
        self.clock = WallClock()
        self.publisher = AccountPublisher(
            BusLink(redis_url),
            Spool(folder / "spool", 16 << 20),
            exchange=exchange.key,
            account=ACCOUNT,
            producer=producer,
            clock=self.clock,
        )
        self.budget = Budget(exchange.key, exchange.limits)
        self.rest = RestClient(
            exchange.rest_url, name=exchange.key, error_of=exchange.error_of, budget=self.budget
        )
        client = VaultClient(vault.path)
        around = Around(
            exchange=exchange,
            account=ACCOUNT,
            key=KeyFacts(key_id="key-1"),
            publisher=self.publisher,
            rest=AccountRest(exchange, self.rest, client, ACCOUNT, self.clock),
            vault=client,
            budget=self.budget,
            clock=self.clock,
            websocket_url=exchange.websocket_url,
        )
        timing = Timing(late_seconds=late_seconds, promise_seconds=0.02, backoff=Quick)
        self.driver = Driver(around, maximum_age_seconds=exchange.maximum_age_seconds, timing=timing)
        self._redis = Redis.from_url(redis_url)

    def entries(self) -> list[Entry]:
        return [Entry.from_fields(fields) for _, fields in self._redis.xrange(STREAM)]  # type: ignore[union-attr]

    def told(self, kind: type[R]) -> list[R]:
        """All records of a kind on the stream, in its order."""
        return [one for entry in self.entries() for one in entry.account_records() if isinstance(one, kind)]

    def marks(self) -> dict[str, int]:
        return {name.decode(): int(value) for name, value in self._redis.hgetall(heard_key(STREAM)).items()}  # type: ignore[union-attr]

    def close(self) -> None:
        self._redis.close()


@asynccontextmanager
async def hearing(
    server: FakeServer,
    vault: FakeVault,
    redis_url: str,
    folder: Path,
    *,
    producer: str = "account:1",
    exchange: FakeAccounts | None = None,
    late_seconds: float = 3600.0,
) -> AsyncIterator[Hearing]:
    one = Hearing(
        exchange or FakeAccounts(server),
        vault,
        redis_url,
        folder,
        producer=producer,
        late_seconds=late_seconds,
    )
    one.publisher.open()
    stop = asyncio.Event()
    async with one.rest, one.budget, asyncio.TaskGroup() as group:
        group.create_task(one.publisher.run())
        running = group.create_task(one.driver.run(stop))
        try:
            yield one
        finally:
            stop.set()
            await running
            one.publisher.finish(10)
    one.close()


def now_at(record: R, clock: WallClock, **changes: Any) -> R:
    """The same, just happened."""
    return msgspec.structs.replace(record, event_time=clock.market(), **changes)


def untimed(records: Sequence[R]) -> list[R]:
    """Less what differs from copy to copy."""
    return [msgspec.structs.replace(one, receive_time=0) for one in records]


__all__ = ["NOON", "STREAM", "Hearing", "hearing", "now_at", "untimed"]

"""What a reconciliation works with: the books of one account, its stream, and its exchange's private REST."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from redis import Redis

from trade_platform.adapters.account_outlet import AccountOutlet
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.database import roles
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.positions import BEGINNING
from trade_platform.adapters.redis_reader import comes_before
from trade_platform.domain.accounts import AccountRecord
from trade_platform.exchanges.account import AccountExchange, Ask
from trade_platform.operations.desk import LOOK_SECONDS, PATIENCE_SECONDS, NotStored

P = ParamSpec("P")
T = TypeVar("T")

_POSITION: Final = "SELECT entry_id FROM stream_position WHERE stream = %s"


class Asking(Protocol):
    """Who performs questions: ``adapters.account_rest.AccountRest``."""

    async def all(self, ask: Ask) -> list[AccountRecord]:
        """All of the answer, or an exception."""


class AccountDesk:
    """One account; the connection has stepped down, and sees this tenant's rows alone."""

    def __init__(
        self,
        connection: Connection,
        bus: Redis,
        owner: Owner,
        account: str,
        exchange: AccountExchange,
        rest: Asking,
        clock: Clock,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.owner = owner
        self.account = account
        self.exchange = exchange
        self.rest = rest
        self.clock = clock
        self.outlet = AccountOutlet(bus, owner.exchange, account, clock)
        self._connection = connection
        self._patience = patience_seconds
        self._lock = asyncio.Lock()

    async def ask(
        self, question: Callable[Concatenate[Connection, Owner, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """A question about the account's rows, in a transaction of its own. Raises psycopg.Error."""
        async with self._lock:
            return await asyncio.to_thread(
                self._in_one_view, lambda connection, owner: question(connection, owner, *args, **kwargs)
            )

    def _in_one_view(self, question: Callable[[Connection, Owner], T]) -> T:
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            roles.tenant(self._connection, self.owner.tenant_id)
            return question(self._connection, self.owner)

    async def publish(self, records: Sequence[AccountRecord]) -> None:
        """Hand records to the account's stream, and wait until they are in the books.

        Raises RedisError, and NotStored where nobody stores them.
        """
        if not records:
            return
        await asyncio.to_thread(self.outlet.put, list(records))
        now = asyncio.get_running_loop().time
        deadline, before = now() + self._patience, ""
        while comes_before(stored := await self.ask(self._stored), self.outlet.last_id):
            if stored != before:
                deadline, before = now() + self._patience, stored
            if now() > deadline:
                raise NotStored(
                    f"What the exchange told waits in {self.outlet.stream}, and nobody stores it: "
                    "is its processor running?"
                )
            await asyncio.sleep(LOOK_SECONDS)

    def _stored(self, connection: Connection, _: Owner) -> str:
        row = connection.execute(_POSITION, (self.outlet.stream,)).fetchone()
        return str(row[0]) if row else BEGINNING

"""Reads an interval of blindness again: how things stand now, and all that happened in it.

Nothing of it waits for what comes live, and nothing live waits for it: the books come out the same in
whatever order they are told (``book_statements``), so the stream itself is the buffer, and an event that
was heard is on the bus at once. What a snapshot tells without a time of its own bears the moment of asking,
so that it never wins over what happened since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import structlog

from streamers.account.publisher import AccountPublisher
from streamers.backoff import Backoff
from trade_platform.adapters.account_rest import AccountRest
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.adapters.vault_client import VaultRefused, VaultUnavailable
from trade_platform.domain.accounts import AccountRecord, Origin, Position
from trade_platform.exchanges.account import Ask, Known
from trade_platform.exchanges.session import ProtocolViolation, RestError

REFUSED: Final = (RestError, RestUnavailable, VaultUnavailable, VaultRefused, ProtocolViolation)
HISTORIES: Final = ("orders", "fills", "movements")
BLOCKED_SECONDS: Final = 0.05
_NONE: Final = Decimal(0)

log = structlog.get_logger()


class Rereading:
    """Of one account; asks until everything was answered."""

    def __init__(
        self,
        rest: AccountRest,
        publisher: AccountPublisher,
        clock: Clock,
        *,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self.complaint = ""
        """Why it is not done yet; empty while nothing was refused."""
        self.records = 0
        self._rest = rest
        self._exchange = rest.exchange
        self._publisher = publisher
        self._clock = clock
        self._backoff = backoff

    async def read(self, since: int) -> tuple[int, str]:
        """All from ``since`` (market time) until now; (until, what could not be had any more)."""
        until = self._clock.market()
        await self._stand()
        remark = self._remark(since)
        await self._happened(since, until)
        return until, remark

    async def again(self, since: int, until: int) -> None:
        """The same histories once more: what REST was told late."""
        await self._happened(since, until)

    async def _stand(self) -> None:
        """How things stand: orders that wait, balances, positions."""
        exchange = self._exchange
        await self._answered([*exchange.open_orders(), *exchange.balances()])
        asked = self._clock.market()
        told = await self._answered(exchange.positions())
        places = {(one.symbol, one.position_side) for one in told if isinstance(one, Position)}
        self._tell(
            [
                Position(symbol, _NONE, asked, asked, side, asset=one.asset, origin=Origin.SNAPSHOT)
                for (symbol, side), one in list(self._publisher.memory.positions.items())
                if (symbol, side) not in places and one.event_time < asked
            ]
        )

    async def _happened(self, since: int, until: int) -> None:
        """All histories; and again for what only became known by them, where one asks by symbol."""
        asked_for: Known | None = None
        while asked_for is None or not _covers(asked_for, self._publisher.memory.known):
            asked_for = known = self._publisher.memory.known
            await self._answered(self._asks(known, since, until))

    def _asks(self, known: Known, since: int, until: int) -> list[Ask]:
        ask: Mapping[str, Callable[[Known, int, int], list[Ask]]] = {
            "orders": self._exchange.orders,
            "fills": self._exchange.fills,
            "movements": self._exchange.movements,
        }
        now = self._clock.market()
        asks: list[Ask] = []
        for what in HISTORIES:
            begin = max(since, self._exchange.reach(what, now))
            if begin < until:
                asks += ask[what](known, begin, until)
        return asks

    def _remark(self, since: int) -> str:
        now = self._clock.market()
        beyond = [what for what in HISTORIES if self._exchange.reach(what, now) > since]
        return f"the exchange does not tell {' and '.join(beyond)} of so long ago" if beyond else ""

    async def _answered(self, asks: Sequence[Ask]) -> list[AccountRecord]:
        """Every question, until it is answered; what is told is published at once."""
        told: list[AccountRecord] = []
        for ask in asks:
            backoff = self._backoff()
            while True:
                try:
                    records = await self._rest.all(ask)
                    break
                except REFUSED as error:
                    await self._note_refused(ask, error, backoff)
            self.complaint = ""
            self._tell(records)
            told += records
            while self._publisher.blocked:  # noqa: ASYNC110 - room is made elsewhere
                await asyncio.sleep(BLOCKED_SECONDS)
        return told

    async def _note_refused(self, ask: Ask, error: Exception, backoff: Backoff) -> None:
        if not self.complaint:
            log.warning(
                "Private history cannot be read; asking again until it can.", what=ask.what, error=str(error)
            )
        self.complaint = f"{ask.what}: {error}"
        await asyncio.sleep(backoff.delay_after(delivered=False, lived_seconds=0.0))

    def _tell(self, records: Sequence[AccountRecord]) -> None:
        if records:
            self.records += len(records)
            self._publisher.publish(records)


def _covers(asked: Known, known: Known) -> bool:
    return asked.symbols >= known.symbols and asked.assets >= known.assets

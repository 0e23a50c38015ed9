"""Re-reads by REST the trades that a connection jumped over, so that a restart or a cut loses none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

import msgspec
import structlog

from streamers.publisher import Publisher
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.holdings import Held
from trade_platform.adapters.rest import RestClient, RestQuiet, RestUnavailable
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import Gap, GapReason, Trade
from trade_platform.exchanges.page import odd_rows
from trade_platform.exchanges.session import Exchange, Missing, ProtocolViolation, RestError

MAXIMUM_TRADES = 50_000
"""Of one hole; what is longer is left to the ledger of gaps."""
CONCURRENCY = 3
TRIES = 8
"""In a row without progress."""
WAITING_HOLES = 10_000
RETRY_CAP_SECONDS = 30.0

log = structlog.get_logger()


class Hole(msgspec.Struct, frozen=True):
    """What is missing and how we know."""

    missing: Missing
    reason: GapReason
    since: int
    """Market time when the last was seen before it."""
    detail: str = ""


class CatchUp:
    """A bounded number of holes at a time, each page by page; every hole is a Gap record first."""

    def __init__(
        self,
        exchange: Exchange,
        rest: RestClient,
        publisher: Publisher,
        clock: Clock,
        *,
        retry_seconds: Callable[[int], float] = lambda tries: min(0.5 * 2**tries, RETRY_CAP_SECONDS),
        without: frozenset[Defence] = frozenset(),
    ) -> None:
        self.trades = 0
        self.given_up = 0
        self.covered: Callable[[Hole], bool] = lambda _: False
        """Somebody else may have handed it over, and says so, or asks again."""
        self._exchange = exchange
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._without = without
        self._holes: asyncio.Queue[Hole] = asyncio.Queue(WAITING_HOLES)

    @property
    def waiting(self) -> int:
        return self._holes.qsize()

    def holdings(self) -> Iterator[Held]:
        """What is beyond is left to the ledger of gaps."""
        yield Held("holes_waiting", self.waiting, WAITING_HOLES)

    def request(self, hole: Hole, *, asked: bool = False) -> None:
        """Record the hole as a Gap at once, then fill it in the background. ``asked``: nobody covers it."""
        if not asked and self.covered(hole):
            return
        missing = hole.missing
        now = self._clock.market()
        length = missing.last - missing.first + 1
        readable = length <= MAXIMUM_TRADES and not self._holes.full()
        readable = readable and Defence.CATCH_UP not in self._without
        if readable:
            self._publisher.sequences.hold(missing)  # first: the Gap's own parcel takes the promise back
        self._publisher.event(
            Gap(
                missing.symbol,
                missing.channel,
                hole.reason,
                missing.first,
                missing.last,
                min(hole.since or now, now),
                now,
                hole.detail if readable else f"{hole.detail} left to repair".strip(),
            )
        )
        log.warning(
            "Trades are missing.",
            then="read again" if readable else "left to repair",
            symbol=missing.symbol,
            first=missing.first,
            last=missing.last,
            reason=str(hole.reason),
        )
        if readable:
            self._holes.put_nowait(hole)
        else:
            self.given_up += 1

    async def run(self) -> None:
        """Fill holes until cancelled; what is unfinished then is found again at the next start."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            hole = await self._holes.get()
            if not await self._fill(hole):
                self.given_up += 1
                log.error(
                    "Trades could not be read again: they are left to repair.", symbol=hole.missing.symbol
                )
                self._publisher.sequences.release(hole.missing)

    async def _fill(self, hole: Hole) -> bool:
        """Publish page by page; the last one carries the promise that the hole held back."""
        missing = hole.missing
        first, tries = missing.first, 0
        while first <= missing.last:
            page: list[Trade] = []
            try:
                page = await self._page(missing, first)
            except RestQuiet as error:  # it was not even asked: no try
                log.info("Re-reading trades has to wait.", symbol=missing.symbol, error=str(error))
                await asyncio.sleep(self._retry_seconds(TRIES))
                continue
            except RestError as error:
                tries = tries if error.retry else TRIES
                log.info("Re-reading trades was refused.", symbol=missing.symbol, error=str(error))
            except (RestUnavailable, ProtocolViolation) as error:
                log.info("Re-reading trades failed.", symbol=missing.symbol, error=str(error))
            if page and page[0].sequence > first and tries >= TRIES:
                self._pass_over(hole, first, page[0].sequence - 1)
                first = page[0].sequence
            if trades := _head(page, first):
                if trades[-1].sequence == missing.last:
                    self._publisher.sequences.release(missing)
                self._publisher.publish(trades, self._clock.market())
                self.trades += len(trades)
                first, tries = trades[-1].sequence + 1, 0
                continue
            if tries >= TRIES:
                return False
            await asyncio.sleep(self._retry_seconds(tries))
            tries += 1
        return True

    def _pass_over(self, hole: Hole, first: int, last: int) -> None:
        """REST tells what comes behind these numbers, and never them."""
        symbol, channel = hole.missing.symbol, hole.missing.channel
        now = self._clock.market()
        since, detail = min(hole.since or now, now), f"{hole.detail} REST leaves it out".strip()
        self.given_up += 1
        self._publisher.event(Gap(symbol, channel, GapReason.SEQUENCE, first, last, since, now, detail))
        log.error("REST leaves out trades.", symbol=symbol, first=first, last=last)

    async def _page(self, missing: Missing, first: int) -> list[Trade]:
        request = self._exchange.trades_request(missing.symbol, missing.channel, first, missing.last)
        body = await self._rest.fetch(request)
        trades = self._exchange.parse_trades(body, missing.symbol, missing.channel, self._clock.market())
        if odd := odd_rows(trades):
            log.warning("Rows of an answer cannot be read.", symbol=missing.symbol, rows=odd)
        within = [trade for trade in trades if first <= trade.sequence <= missing.last]
        return sorted(within, key=lambda trade: trade.sequence)


def _head(page: Iterable[Trade], first: int) -> list[Trade]:
    """The page from its first number on, as far as no number is skipped."""
    head: list[Trade] = []
    for trade in page:
        if trade.sequence == first + len(head):
            head.append(trade)
        elif trade.sequence > first + len(head):
            break
    return head

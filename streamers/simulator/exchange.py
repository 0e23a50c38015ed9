"""One simulated exchange put together: a market, those who hear it, REST, ledger and faults. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog

from streamers.simulator.binance import SPOT_RULES, USDM_RULES, BinanceConversation, path_of
from streamers.simulator.binance_rest import BinanceRest
from streamers.simulator.deribit import DeribitConversation
from streamers.simulator.deribit import Rules as DeribitRules
from streamers.simulator.deribit_rest import DeribitRest
from streamers.simulator.faults import Fault, FaultScript
from streamers.simulator.hub import Abort, Close, Conversation, Hub, Instruction
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import BINANCE_SPOT, DERIBIT, SECOND
from streamers.simulator.rest import Answer
from streamers.simulator.source import Source

RETRY_SECONDS = 1.0
"""How often a ledger that cannot be written is tried again."""
log = structlog.get_logger()
DERIBIT_PATHS = ("/ws/api/v2", "/ws/api/v2/")


class SimulatedExchange:
    """Ask it to ``step``, carry what it yields, and hand it what clients say."""

    def __init__(
        self,
        source: Source,
        hub: Hub,
        ledger: Ledger,
        *,
        faults: FaultScript | None = None,
        scale: float = 1.0,
    ) -> None:
        self.source = source
        self.hub = hub
        self.ledger = ledger
        self.faults = faults or FaultScript([])
        self.scale = scale
        self.rest: BinanceRest | DeribitRest = (
            DeribitRest(source) if source.exchange == DERIBIT else BinanceRest(source)
        )
        self.paused = False
        self.refuse_until = 0.0
        self._started_at: float | None = None
        self._retry_at = 0.0
        self._behind = False
        self._market = 0
        self._maintenance_until = 0.0
        self._ending: list[tuple[float, Conversation]] = []

    @property
    def key(self) -> str:
        return self.source.exchange

    def converse(self, url: str, now: float) -> Conversation | None:
        """The server half for a handshake; None where it must be refused."""
        if now < max(self.refuse_until, self._maintenance_until):
            return None
        if self.key == DERIBIT:
            if urlsplit(url).path not in DERIBIT_PATHS:
                return None
            assert isinstance(self.rest, DeribitRest)
            instruments = self.source.instruments
            return DeribitConversation(
                self.rest, lambda: set(instruments()), DeribitRules().scaled(self.scale)
            )
        path = path_of(url, self.key)
        rules = (SPOT_RULES if self.key == BINANCE_SPOT else USDM_RULES).scaled(self.scale)
        return None if path is None else BinanceConversation(rules, path)

    def step(self, market: int, now: float) -> Iterator[tuple[Conversation, str | Instruction]]:
        """Let the market reach ``market``; yield what each connection hears, and what faults do to it."""
        if self._started_at is None:
            self._started_at = now
        if not self.paused and not self.stalled:
            self.source.run(self._reach(market))
        self._market = market
        if self._written(now):
            yield from self.hub.deliver(now)
        for fault in self.faults.due(now - self._started_at, self.hub.delivered, self.key):
            yield from self.inflict(fault, now)
        if self._maintenance_until and now >= self._maintenance_until:
            self._maintenance_until, self.rest.maintenance = 0.0, False
        while self._ending and self._ending[0][0] <= now:
            yield self._ending.pop(0)[1], Close(1001, "server shutdown")

    @property
    def stalled(self) -> bool:
        """The ledger cannot be written: nothing happens and nothing is said until it can."""
        return bool(self._retry_at)

    def _written(self, now: float) -> bool:
        """Whether all that was printed is in the ledger, so that it may be said."""
        if now < self._retry_at:
            return False
        try:
            self.ledger.flush()
        except OSError as error:
            if not self.stalled:
                log.error(  # noqa: TRY400 (a sentence, not a traceback)
                    "the ledger cannot be written: the market stands still until it can",
                    exchange=self.key,
                    path=str(self.ledger.path),
                    error=error.strerror,
                )
            self._retry_at = now + RETRY_SECONDS
            return False
        if self.stalled:
            log.info("the ledger can be written again: the market goes on", exchange=self.key)
            self._retry_at, self._behind = 0.0, True
        return True

    def _reach(self, market: int) -> int:
        """How far to go: what was missed while the market stood still is made up for in small steps."""
        if not self._behind:
            return market
        reach = self.source.now + 2 * (market - self._market) + SECOND
        self._behind = reach < market
        return min(reach, market)

    def inflict(self, fault: Fault, now: float) -> Iterator[tuple[Conversation, str | Instruction]]:
        """Do what a fault says."""
        hub, everyone = self.hub, list(self.hub.conversations)
        if fault.fault == "close":
            yield from ((one, Close(fault.code, "fault")) for one in everyone)
        elif fault.fault == "abort":
            yield from ((one, Abort()) for one in everyone)
        elif fault.fault == "silence":
            hub.silent_until = now + fault.seconds
        elif fault.fault == "skip":
            hub.skip += fault.count
        elif fault.fault == "duplicate":
            hub.duplicate += fault.count
        elif fault.fault == "refuse":
            self.refuse_until = now + fault.seconds
        elif fault.fault in ("server_shutdown", "maintenance"):
            for one in everyone:
                yield from ((one, instruction) for instruction in one.goodbye(self.source.now // 1000))
                self._ending.append((now + fault.grace_seconds, one))
            if fault.fault == "maintenance":
                self._maintenance_until, self.rest.maintenance = now + fault.seconds, True

    def answer(self, method: str, path: str, query: Mapping[str, Any], now: float) -> Answer:
        """REST."""
        return self.rest.handle(method, path, query, now)

    def state(self) -> dict[str, Any]:
        """What /simulator/state tells."""
        return {
            "exchange": self.key,
            "started": bool(self.hub.subscribed),
            "finished": self.source.finished,
            "paused": self.paused,
            "connections": len(self.hub.conversations),
            "delivered": self.hub.delivered,
            "market": self.source.now,
            "emitted": self.ledger.emitted(),
            "subscribed": list(self.hub.subscribed),
        }

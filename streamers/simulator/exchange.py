"""One simulated exchange put together: a market, those who hear it, REST, ledger and faults. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog

from streamers.simulator.accounts import faults as account_faults
from streamers.simulator.accounts.deribit import half_of
from streamers.simulator.accounts.desk import Desk
from streamers.simulator.accounts.spot_half import SpotHalf
from streamers.simulator.accounts.usdm_half import UsdmHalf
from streamers.simulator.archive import Archive
from streamers.simulator.binance import SPOT_RULES, USDM_RULES, BinanceConversation, path_of
from streamers.simulator.binance_rest import BinanceRest
from streamers.simulator.binance_trades import DEFAULT_REACH_HOURS
from streamers.simulator.deribit import DeribitConversation
from streamers.simulator.deribit import Rules as DeribitRules
from streamers.simulator.deribit_rest import DeribitRest
from streamers.simulator.door import Door, Garbage, Refusal, Welcome
from streamers.simulator.faults import OF_THE_MARKET, Fault, FaultScript, objection
from streamers.simulator.floor import Floor
from streamers.simulator.hub import Conversation, Hub, Instruction
from streamers.simulator.interference import Heard, Interference
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import BINANCE_SPOT, DERIBIT, INDICES, SECOND
from streamers.simulator.reception import Reception
from streamers.simulator.rest import Answer, Carried
from streamers.simulator.source import Source
from streamers.simulator.troubles import Troubles
from streamers.simulator.turned_away import turn_away
from streamers.simulator.upheaval import strike

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
        reach_hours: float = DEFAULT_REACH_HOURS,
        desk: Desk | None = None,
    ) -> None:
        self.source = source
        self.desk = desk
        """The accounts, where there are any."""
        self.hub = hub
        self.ledger = ledger
        self.faults = faults or FaultScript([])
        self.scale = scale
        self.rest: BinanceRest | DeribitRest = (
            DeribitRest(source) if source.exchange == DERIBIT else BinanceRest(source, reach_hours)
        )
        if desk is not None:
            desk.clock = self._clock
        if isinstance(self.rest, BinanceRest) and desk and isinstance(desk.half, SpotHalf | UsdmHalf):
            desk.half.attach(self.rest.window)
        self.paused = False
        self.troubles = Troubles(source.exchange)
        self.interference = Interference(source.exchange, hub, self.troubles)
        self.reception = Reception(source.exchange, self.troubles)
        self.door = Door(source.exchange, self.troubles, self._conversation)
        self.archive = None if source.exchange == DERIBIT else Archive(source)
        self.requests = 0
        self._started_at: float | None = None
        self._retry_at = 0.0
        self._behind = False
        self._market = 0
        self._later: deque[tuple[float, Callable[[], Iterable[Heard]]]] = deque()

    @property
    def key(self) -> str:
        return self.source.exchange

    def knock(self, url: str, now: float) -> Refusal | Garbage | Welcome:
        """Answer a handshake."""
        answer = self.door.knock(url, now, len(self.hub.conversations))
        if isinstance(answer, Welcome):
            if self.troubles.latest("mute_new", now):
                self.interference.muted.add(answer.conversation)
            if answer.farewell:
                self.reception.leaving.add(answer.conversation)
        return answer

    def converse(self, url: str, now: float) -> Conversation | None:
        """The server half for a handshake; None where it must be refused."""
        answer = self.knock(url, now)
        return answer.conversation if isinstance(answer, Welcome) else None

    def _clock(self) -> int:
        """The exchange's time in milliseconds UTC; it goes on where the market stands still."""
        return (self.source.shown + max(self._market - self.source.now, 0)) // 1000

    def _conversation(self, url: str) -> Conversation | None:
        """The server half for a URL; None where there is no such endpoint."""
        if self.key == DERIBIT:
            if urlsplit(url).path not in DERIBIT_PATHS:
                return None
            assert isinstance(self.rest, DeribitRest)
            instruments, half = self.source.instruments, half_of(self.desk)
            return DeribitConversation(
                self.rest,
                lambda: set(instruments()),
                DeribitRules().scaled(self.scale),
                None if half is None else half.side(),
            )
        private = None if self.desk is None else self.desk.half.converse(url, self.scale)
        if private is not None:
            return private
        path = path_of(url, self.key)
        rules = (SPOT_RULES if self.key == BINANCE_SPOT else USDM_RULES).scaled(self.scale)
        return None if path is None else BinanceConversation(rules, path)

    def step(self, market: int, now: float) -> Iterator[Heard]:
        """Let the market reach ``market``; yield what each connection hears, and what faults do to it."""
        if self._started_at is None:
            self._started_at = now
        if not self.paused and not self.stalled:
            self.source.run(self._reach(market))
        self._market = market
        if self._written(now):
            if self.desk is not None:
                self.desk.settle()
                if self.paused:
                    self.desk.rest(now)
            yield from self.interference.deliver(now)
        for fault in self.faults.due(now - self._started_at, self.hub.delivered, self.key):
            if not self.objection(fault):
                yield from strike(self, fault, now)
        while self._later and self._later[0][0] <= now:
            yield from self._later.popleft()[1]()
        self.rest.maintenance = bool(self.troubles.latest("maintenance", now))
        if isinstance(self.rest, DeribitRest):
            self.rest.locked_indices = self.locked_indices()

    def objection(self, fault: Fault) -> str:
        """Why this exchange cannot have a fault, as a sentence; empty where it can."""
        why = objection(fault, self.key) or account_faults.objection(fault, self.desk)
        if not why and fault.fault in OF_THE_MARKET and not isinstance(self.source, Floor):
            return f"{fault.fault} needs a market: a replay only repeats what was recorded."
        if not why and fault.fault in ("expiry", "burst") and fault.symbol:
            known = self.source.instruments()
            return "" if fault.symbol in known else f"{self.key} lists no {fault.symbol}."
        return why

    def locked_indices(self) -> list[str]:
        """Deribit's indices in which nobody trades just now."""
        if self.troubles.of("locked"):
            return list(INDICES)
        return [fault.index for fault in self.troubles.of("partial_lock")]

    def due(self, conversation: Conversation, now: float) -> list[Instruction]:
        """What a connection hears because its time has come."""
        return self.reception.due(conversation, now)

    def later(self, at: float, action: Callable[[], Iterable[Heard]]) -> None:
        """Do this at a moment in real seconds."""
        self._later = deque(sorted((*self._later, (at, action)), key=lambda one: one[0]))

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

    def answer(
        self, method: str, path: str, query: Mapping[str, Any], now: float, carried: Carried | None = None
    ) -> Answer:
        """REST; ``carried``: the same request as it stood on the wire, for who must prove who it is."""
        self.requests += 1
        refused = turn_away(self.key, path, self.troubles, self.source.shown, now)
        if refused is not None:
            return refused
        private = None
        if self.desk is not None and carried is not None:
            private = self.desk.half.answer(carried, dict(query), now)
        answer = private or self.rest.handle(method, path, query, now)
        if answer.status in (418, 429):
            self.reception.exceeded["weight"] += 1
        return answer

    def _effects(self) -> dict[str, int]:
        """Fault → how often it really took effect."""
        effects = self.troubles.told()
        if isinstance(self.source, Floor):
            effects["clock_off"] = self.source.stamps.wrong
        if isinstance(self.rest, BinanceRest) and "horizon" in effects:
            effects["horizon"] = self.rest.trades.beyond_reach
        return effects if self.desk is None else effects | self.desk.told()

    def state(self, now: float | None = None) -> dict[str, Any]:
        """What /simulator/state tells."""
        started, exceeded = self._started_at or 0.0, self.reception.exceeded
        return {
            "exchange": self.key,
            "started": bool(self.hub.subscribed),
            "finished": self.source.finished,
            "paused": self.paused,
            "elapsed": round(0.0 if now is None else now - started, 3),
            "connections": self.door.told(started, len(self.hub.conversations)),
            "requests": self.requests,
            "weight_exceeded": exceeded["weight"],
            "messages_exceeded": exceeded["Too many requests"],
            "credits_exceeded": exceeded["too_many_requests"],
            "streams_exceeded": exceeded["Too many streams"],
            "faults": self._effects(),
            "delivered": self.hub.delivered,
            "market": self.source.now,
            "emitted": self.ledger.emitted(),
            "subscribed": list(self.hub.subscribed),
        }

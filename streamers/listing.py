"""What an exchange lists, read again on news and once an hour; a list that lost its half is doubted."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence

import structlog

from streamers.publisher import Publisher
from streamers.race import first
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.domain.model import Instrument
from trade_platform.exchanges.session import Exchange, ProtocolViolation, RestError

ABSENT_LISTS = 3
INSTRUMENTS_SECONDS = 3600.0
NEWS_SECONDS = 60.0
"""Instruments are read again on news of them, this often at most."""
INSTRUMENT_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0)
"""After refusals one after the other; in a settlement, say, which brings new instruments and is soon over."""

log = structlog.get_logger()


class Listing:
    """The instruments of one exchange, as they were read last."""

    def __init__(
        self,
        exchange: Exchange,
        rest: RestClient,
        publisher: Publisher,
        clock: Clock,
        *,
        recorded: Callable[[], Iterable[str]],
    ) -> None:
        """``recorded``: symbols that are not given up because one list leaves them out."""
        self.instruments: list[Instrument] = []
        self.complaint = ""
        """Why they cannot be read; empty while they can."""
        self.news = False
        self._exchange = exchange
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._recorded = recorded
        self._read_at = -math.inf
        self._listed = 0
        self._refusals = 0
        """In a row."""
        self._short_lists = 0
        self._absent: dict[str, int] = {}
        """How many lists in a row left out what is recorded."""

    @property
    def due(self) -> bool:
        """It is time to read it again."""
        return self._clock.monotonic() - self._read_at > self._pause

    @property
    def _pause(self) -> float:
        if 0 < self._refusals <= len(INSTRUMENT_RETRY_SECONDS):
            return INSTRUMENT_RETRY_SECONDS[self._refusals - 1]
        return NEWS_SECONDS if self.news else INSTRUMENTS_SECONDS

    async def read_until_there(self, stop: asyncio.Event) -> None:
        """Try until something was read."""
        tries = 0
        while not stop.is_set():
            await first(stop, self.read(), math.inf)
            if self.instruments:
                return
            await first(stop, None, INSTRUMENT_RETRY_SECONDS[min(tries, len(INSTRUMENT_RETRY_SECONDS) - 1)])
            tries += 1

    async def read(self) -> bool:
        """Read and publish what the exchange lists; False, with a sentence said once, where it fails."""
        instruments: list[Instrument] = []
        try:
            for request in self._exchange.instruments_requests():
                instruments += self._exchange.parse_instruments(await self._rest.fetch(request))
            self._doubt(instruments)
        except (RestError, RestUnavailable, ProtocolViolation) as error:
            self._complain(error)
            self._refusals = 0 if isinstance(error, ProtocolViolation) else self._refusals + 1
            return False
        finally:
            self._read_at = self._clock.monotonic()
        self.complaint = ""
        self._refusals = 0
        self.news = False
        self.instruments = [*instruments, *self._still_wanted(instruments)]
        self._listed = len(instruments)
        self._publisher.sequences.retire({one.symbol for one in self.instruments})
        self._publisher.publish(instruments, self._clock.market())
        return True

    def _complain(self, error: Exception) -> None:
        sentence = f"The instruments of {self._exchange.key} cannot be read: {error}"
        if sentence != self.complaint:
            log.warning("The exchange's instruments cannot be read; trying again.", error=str(error))
        self.complaint = sentence
        self.news = True  # again in a minute if not sooner, and not in an hour

    def _doubt(self, instruments: Sequence[Instrument]) -> None:
        """No exchange delists half of what it has, unless it says so again: raises ProtocolViolation."""
        short = len(instruments) < max(1, self._listed / 2)
        self._short_lists = self._short_lists + 1 if short else 0
        if short and (not instruments or self._short_lists < ABSENT_LISTS):
            raise ProtocolViolation(f"{len(instruments)} are listed, and {self._listed} were before.")

    def _still_wanted(self, instruments: Sequence[Instrument]) -> list[Instrument]:
        """What is recorded and no longer listed stays until it is absent from several lists in a row."""
        listed, recorded = {one.symbol for one in instruments}, set(self._recorded())
        gone = [one for one in self.instruments if one.symbol not in listed and one.symbol in recorded]
        self._absent = {one.symbol: self._absent.get(one.symbol, 0) + 1 for one in gone}
        return [one for one in gone if self._absent[one.symbol] < ABSENT_LISTS]

"""A session and its exchange joined in memory, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.exchanges.suite.facts import START
from tests.exchanges.suite.voice import Voice
from trade_platform.domain.model import MICROSECONDS, Record, Trade
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import Missing, Output, Reconnect, Request, Rest, Send

TICK = 0.25
BEAT_SECONDS = 5


class Talk:
    """Performs what the session puts out, and keeps it for the test to look at."""

    def __init__(self, voice: Voice, wanted: Sequence[Wanted] = ()) -> None:
        self.voice = voice
        (plan, *_) = voice.exchange.plan(wanted or voice.wanted())
        self.wanted = plan.wanted
        self.session = voice.exchange.session(plan)
        self.now = 0.0
        self.deaf = False
        """The server does not answer what is said to it."""
        self.rest_answers = True
        self.said: list[tuple[float, str]] = []
        self.asked: list[tuple[float, Request]] = []
        self.endings: list[tuple[float, Reconnect]] = []
        self.missing: list[Missing] = []
        self.records: list[Record] = []

    @property
    def market(self) -> int:
        return START + round(self.now * MICROSECONDS)

    @property
    def trades(self) -> list[int]:
        return [one.sequence for one in self.records if isinstance(one, Trade)]

    def open(self, settle: float = 0.0) -> None:
        """Connect, and give the session time to say all it has to say."""
        self.perform(self.session.opened(self.now))
        self.run(settle)

    def hear(self, *texts: str) -> None:
        for text in texts:
            self.perform(self.session.receive(text, self.market))

    def trade(self, *numbers: int, symbol: str = "") -> None:
        self.voice.newest = max(self.voice.newest, *numbers)
        self.hear(*(self.voice.trade(symbol or self.voice.symbols[0], number) for number in numbers))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, with the exchange's heartbeats, until the connection is of no more use."""
        end = self.now + seconds
        while self.now < end and not self.endings and not until():
            self.now += TICK
            if self.now % BEAT_SECONDS == 0:
                self.hear(*self.voice.heartbeat())
            self.perform(self.session.due(self.now))

    def perform(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.said.append((self.now, output.text))
                if not self.deaf:
                    self.hear(*self.voice.answer(output.text))
            elif isinstance(output, Rest):
                self.asked.append((self.now, output.request))
                self._ask(output)
            elif isinstance(output, Reconnect):
                self.endings.append((self.now, output))
            elif isinstance(output, Missing):
                self.missing.append(output)
            else:
                self.records.append(output)

    def _ask(self, rest: Rest) -> None:
        if self.rest_answers:
            self.perform(rest.parse(self.voice.rest(rest.request)))
        elif rest.failed is not None:
            self.perform(rest.failed("no answer"))

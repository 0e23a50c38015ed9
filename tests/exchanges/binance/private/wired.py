"""Our half of the conversation joined to the simulated exchange's, without a socket."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from streamers.simulator.accounts.accounts_file import AccountSpec
from tests.streamers.simulator.accounts.binance import Client, make
from tests.streamers.simulator.conftest import Wire
from trade_platform.domain.accounts import AccountRecord
from trade_platform.exchanges.account import (
    AccountExchange,
    AccountOutput,
    Algorithm,
    Ask,
    Fetch,
    KeyFacts,
    Obtain,
    Page,
    PrivateRequest,
    Ready,
    Sign,
    Signed,
)
from trade_platform.exchanges.accounts import ACCOUNT_EXCHANGES
from trade_platform.exchanges.session import Reconnect, RestError, Send

SECOND = 1_000_000


class Wired:
    """One account: the session that hears it, questions by REST, and the book that says what is true."""

    def __init__(self, spec: AccountSpec, client: Client | None = None) -> None:
        self.client = client or Client(make(spec))
        self.exchange: AccountExchange = ACCOUNT_EXCHANGES[spec.exchange]
        self.key = KeyFacts(key_id=spec.key_id, algorithm=Algorithm(spec.algorithm))
        self.records: list[AccountRecord] = []
        self.endings: list[Reconnect] = []
        self.ready: list[int] = []
        self.began = self.now
        self.real = 0.0
        """Seconds that pass for whoever counts requests."""
        self.session = self.exchange.session(self.key)
        self.perform(self.session.before(0.0, self.now))
        self.wire: Wire | None = None
        if not self.endings:
            self.wire = Wire(self.client.exchange, self.exchange.path(self.session.listen_key))
            self._read = 0
            self.perform(self.session.opened(0.0, self.now))

    @property
    def now(self) -> int:
        """Microseconds, as the exchange counts."""
        return self.client.exchange.source.shown

    @property
    def opening(self) -> dict[str, str]:
        return {name: str(amount) for name, amount in self.client.account.book.opening.items()}

    def perform(self, outputs: Sequence[AccountOutput]) -> None:
        """As the driver does."""
        for output in outputs:
            match output:
                case Send():
                    assert self.wire is not None
                    self.wire.say(output.text, self.real)
                    self.hear()
                case Reconnect():
                    self.endings.append(output)
                case Ready():
                    self.ready.append(output.since)
                case Sign():
                    signature = self.client.sign(output.prepare(self.key, self.now, ""))
                    self.perform(
                        output.then(Signed(key=self.key, signature=signature, at=self.now, nonce=""))
                    )
                case Obtain():
                    self._answered(output.request, output)
                case Fetch():
                    self.perform(output.then(self.ask(output.ask)))
                case _:
                    self.records.append(output)

    def _answered(self, request: PrivateRequest, obtain: Obtain) -> None:
        try:
            body = self.fetch(request)
        except RestError as error:
            self.perform(obtain.failed(str(error)))
        else:
            self.perform(obtain.then(body))

    def hear(self) -> None:
        """What was said meanwhile."""
        assert self.wire is not None
        texts = self.wire.texts[self._read :]
        self._read += len(texts)
        for text in texts:
            self.perform(self.session.receive(text, self.now))

    def run(self, seconds: int, step: int = 1) -> None:
        """Let the market run, and what is due be done."""
        assert self.wire is not None
        for _ in range(0, seconds, step):
            self.real += step
            self.wire.run(self.client.exchange.source.now + step * SECOND, step * SECOND, self.real)
            self.hear()
            if self.endings:
                return
            self.perform(self.session.due(self.real, self.now))

    def fetch(self, request: PrivateRequest) -> bytes:
        """Signed as the vault would, sent as a client would; raises RestError."""
        text = self.exchange.to_sign(request, self.key, self.now, "")
        signed = Signed(key=self.key, signature=self.client.sign(text), at=self.now, nonce="")
        ready = self.exchange.with_signature(request, signed)
        self.real += 2.0
        target = f"{ready.path}?{urlencode(ready.query)}"
        answer = self.client.send(target, ready.method, self.real, ready.headers["X-MBX-APIKEY"])
        body = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
        error = self.exchange.error_of(answer.status, body)
        if error is not None:
            raise error
        return body

    def ask(self, first: Ask) -> list[AccountRecord]:
        """A question to its end."""
        records: list[AccountRecord] = []
        ask: Ask | None = first
        while ask is not None:
            try:
                body = self.fetch(ask.request)
            except RestError as error:
                if error.code not in ask.absent:
                    raise
                return records
            page: Page = ask.read(body, self.now)
            records += page.records
            ask = page.further
        return records

    def all(self, asks: Sequence[Ask]) -> list[AccountRecord]:
        return [record for ask in asks for record in self.ask(ask)]

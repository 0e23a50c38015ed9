"""Deribit's private half: logins, what accounts hear, private methods over both transports, settlement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from streamers.simulator.accounts import deribit_objects as objects
from streamers.simulator.accounts.book_shapes import BookEvent, Executed, Noted, Ordered, SimOrder
from streamers.simulator.accounts.deribit_login import Logins
from streamers.simulator.accounts.deribit_rest import PrivateMethods
from streamers.simulator.accounts.deribit_side import INTERVALS, LOG, PrivateSide, internal, topics
from streamers.simulator.accounts.deribit_wallet import (
    DeribitHouse,
    currencies,
    deliver,
    fund,
    settle,
    standing,
)
from streamers.simulator.accounts.desk import Account, Desk
from streamers.simulator.deribit_floor import DeribitFloor
from streamers.simulator.deribit_rest import PREFIX, Answered, Refused, envelope, refusal
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Close, Conversation, Say
from streamers.simulator.interference import Heard
from streamers.simulator.limits import Bucket
from streamers.simulator.listing import MINUTE
from streamers.simulator.rest import Answer, Carried

DAY: Final = 24 * 60 * MINUTE
EIGHT: Final = 8 * 60 * MINUTE
HOUR: Final = 60 * MINUTE


class DeribitHalf:
    """Speaks for every account on Deribit."""

    desk: Desk
    floor: DeribitFloor
    logins: Logins
    methods: PrivateMethods
    house: DeribitHouse

    def __init__(self) -> None:
        self.house = DeribitHouse(self._trade_id)
        self._said: dict[tuple[str, str], str] = {}
        self._credits: dict[str, Bucket] = defaultdict(lambda: Bucket(50_000, 10_000))
        self._log_credits: dict[str, Bucket] = defaultdict(lambda: Bucket(80_000, 10_000))

    def _trade_id(self, symbol: str, sequence: int) -> str:
        return self.floor.trade_id(symbol, sequence)

    def start(self, desk: Desk) -> None:
        assert isinstance(desk.floor, DeribitFloor)
        self.desk, self.floor = desk, desk.floor
        self.logins, self.methods = Logins(desk), PrivateMethods(desk, desk.floor)
        now = desk.floor.now
        desk.floor.agenda.at((now // HOUR + 1) * HOUR, self._hour)

    def converse(self, url: str, scale: float) -> Conversation | None:
        """None: Deribit talks of both sides on one connection."""
        _ = url, scale
        return None

    def side(self) -> PrivateSide:
        """The private side of one connection."""
        return PrivateSide(self)

    # --- what is said -----------------------------------------------------------------------------------

    def told(self, account: Account, event: BookEvent) -> None:
        if isinstance(event, Noted):
            self._noted(account, event)
        elif isinstance(event, Ordered):
            self._changed(account, event.order, [], [])
        elif isinstance(event, Executed):
            listing = self.floor.pits[event.order.symbol].listing
            trade = objects.trade_object(event.fill, event.order, listing, self.floor)
            held = [self._position(account, event, place) for place in range(len(event.positions))]
            self._changed(account, event.order, [trade], held)

    def second(self, account: Account, time: int) -> None:
        """Say what a portfolio is worth, if it changed; end what has expired."""
        self._withdraw(account)
        self._deliver(account, time)
        hub = self.floor.hub
        for currency in currencies(account.book):
            streams = [internal(f"user.portfolio.{one}", account.name) for one in (currency.lower(), "any")]
            heard = [stream for stream in streams if hub.wanted(stream)]
            if not heard:
                continue
            text = objects.dumps(
                objects.portfolio_object(standing(account.book, currency, self.methods.histories.mark))
            )
            if self._said.get((account.name, currency)) != text:
                self._said[account.name, currency] = text
                for stream in heard:
                    self.desk.say(account.name, stream, text)

    def _deliver(self, account: Account, time: int) -> None:
        """What expired meanwhile is paid out."""
        book = account.book
        touched = {*(one.symbol for one in book.waiting()), *(symbol for symbol, _ in book.positions)}
        for symbol in sorted(touched):
            held = book.held(symbol)
            if self.floor.pits[symbol].over and (
                held.quantity or held.session_realized or book.waiting(symbol)
            ):
                deliver(book, symbol, time, self.methods.histories.mark)

    def listened(self, account: str) -> None:
        """Somebody begins to hear a portfolio: the next second tells all of it."""
        self._said = {key: text for key, text in self._said.items() if key[0] != account}

    def _noted(self, account: Account, event: Noted) -> None:
        if event.what == "access":
            said = {
                "id": event.time,
                "ip": "127.0.0.1",
                "timestamp": event.time // 1000,
                "country": "",
                "city": "",
                "log": event.text,
            }
            self.desk.say(account.name, internal("user.access_log", account.name), objects.dumps(said))
        elif event.what == "lock":
            said = {"locked": event.text == "true", "currency": "ALL"}
            self.desk.say(account.name, internal("user.lock", account.name), objects.dumps(said))

    def _changed(
        self, account: Account, order: SimOrder, trades: list[dict[str, Any]], positions: list[dict[str, Any]]
    ) -> None:
        listing = self.floor.pits[order.symbol].listing
        shown = objects.order_object(order, listing)
        whole = {"instrument_name": order.symbol, "orders": [shown], "trades": trades, "positions": positions}
        for topic in topics(listing):
            for interval in INTERVALS:
                said: list[tuple[str, object]] = [
                    ("orders", shown if interval == "raw" else [shown]),
                    ("changes", whole),
                ]
                if trades:
                    said.append(("trades", trades))
                for what, value in said:
                    stream = internal(f"user.{what}.{topic}.{interval}", account.name)
                    if self.floor.hub.wanted(stream):
                        self.desk.say(account.name, stream, objects.dumps(value))

    def _position(self, account: Account, event: Executed, place: int) -> dict[str, Any]:
        one = event.positions[place]
        index = Decimal(self.floor.index(self.floor.pits[one.symbol].listing.index))
        return objects.position_object(account.book, one, self.methods.histories.mark(one.symbol), index)

    # --- what is asked ----------------------------------------------------------------------------------

    def answer(self, asked: Carried, params: dict[str, Any], now: float) -> Answer | None:
        name = asked.target.partition("?")[0].removeprefix(PREFIX)
        if name == "public/auth":
            return self._over_http(lambda: Answered(objects.dumps(self.logins.log_in(params, now)[2])))
        if not name.startswith("private/"):
            return None

        def answered() -> Answered:
            text = f"{asked.method}\n{asked.target}\n{asked.body}\n"
            account, scope = self.logins.signer(asked.headers.get("authorization", ""), text, now)
            if not self.spend(account.name, name, now):
                return refusal(10028, "too_many_requests")
            return self.methods.call(account, scope, name, params)

        return self._over_http(answered)

    def spend(self, account: str, method: str, now: float) -> bool:
        """Take what a method costs from an account's credits; whether they were enough."""
        if method == LOG:
            return self._log_credits[account].take(10_000, now)
        return self._credits[account].take(500, now)

    def _over_http(self, asked: Any) -> Answer:
        try:
            answered = asked()
        except Refused as refused:
            answered = refused.answered
        return Answer(answered.status, envelope(None, answered, self.floor.shown))

    # --- what happens -----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Pay out every account's session."""
        for account in self.desk.accounts.values():
            settle(account.book, self.floor.shown, self.methods.histories.mark)

    def _hour(self, time: int) -> None:
        """Funding every hour, and at eight the settlement."""
        for account in self.desk.accounts.values():
            fund(account.book, self.floor.shown, self.methods.histories.mark, self._rate)
        if time % DAY == EIGHT:
            self.settle()
        self.floor.agenda.at((time // HOUR + 1) * HOUR, self._hour)

    def _rate(self, symbol: str) -> Decimal:
        """Of an hour; the market tells that of eight."""
        return Decimal(self.floor.funding(self.floor.pits[symbol])) / 8

    def strike(self, account: Account, fault: Fault, now: float) -> Iterator[Heard]:
        if fault.fault == "settlement":
            settle(account.book, self.floor.shown, self.methods.histories.mark)
        elif fault.fault == "funding":
            rate = Decimal(fault.amount) / 100
            paid = fund(account.book, self.floor.shown, self.methods.histories.mark, lambda _: rate)
            self.desk.effects["funding"] += paid
        elif fault.fault in ("key_expired", "key_revoked"):
            self.logins.expire(account.name)
            if fault.fault == "key_expired":
                self.desk.effects["key_expired"] += 1
            for conversation, channels in self._withdraw(account):
                if fault.fault == "key_revoked":
                    yield conversation, Close(1000, "logout")
                elif fault.notice and channels:
                    ended = refusal(11052, "subscribe_error_unsubscribed", {"channels": channels})
                    yield conversation, Say(envelope(None, ended, self.floor.shown))
        _ = now

    def _withdraw(self, account: Account) -> list[tuple[Conversation, list[str]]]:
        """End the private channels of connections whose token does not count any more."""
        ended = []
        for conversation in list(self.floor.hub.conversations):
            side = getattr(conversation, "private", None)
            if not isinstance(side, PrivateSide) or side.account is not account or side.good:
                continue
            own = [stream for stream in conversation.streams if stream.endswith(f"@{account.name}")]
            for stream in own:
                del conversation.streams[stream]
            side.account = None
            self.floor.hub.refresh(conversation)
            ended.append((conversation, [stream.partition("@")[0] for stream in own]))
        return ended


def half_of(desk: Desk | None) -> DeribitHalf | None:
    """Deribit's half of these accounts, if they are Deribit's."""
    return desk.half if desk is not None and isinstance(desk.half, DeribitHalf) else None

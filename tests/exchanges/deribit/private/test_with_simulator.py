"""Our client and the simulated exchange, joined in memory: what one tells is what the other's book holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.deribit_objects import PRICE
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Close, Say
from streamers.simulator.listing import SECOND
from streamers.simulator.rest import Carried
from tests.exchanges.deribit.private.talking import only
from tests.streamers.simulator.accounts.desks import account_of, exchange_with, run, signature, spec
from trade_platform.domain.account_books import Books, books_of
from trade_platform.domain.accounts import (
    ACCOUNT_KINDS,
    AccountNote,
    AccountRecord,
    Balance,
    NoteKind,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.exchanges.account import (
    AccountOutput,
    Ask,
    KeyFacts,
    Known,
    PrivateRequest,
    Ready,
    Sign,
    Signed,
)
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts
from trade_platform.exchanges.session import Reconnect, Send

KEY = KeyFacts(key_id="KEY")
EXCHANGE = DeribitAccounts()


class Joined:
    """One session of ours on one conversation of theirs; ``now`` is real seconds, the market has its own."""

    def __init__(self, exchange: SimulatedExchange, *, secret: str = "SECRET") -> None:
        conversation = exchange.converse(EXCHANGE.path(""), 0.0)
        assert conversation is not None
        self.exchange = exchange
        self.conversation = conversation
        self.secret = secret
        self.session = EXCHANGE.session(KEY)
        self.told: list[AccountOutput] = []
        self.now = 0.0
        exchange.hub.join(conversation)
        self.perform(self.session.opened(self.now, self.market))

    @property
    def market(self) -> int:
        return self.exchange.source.shown

    @property
    def records(self) -> list[AccountRecord]:
        return [one for one in self.told if type(one) in ACCOUNT_KINDS.values()]  # type: ignore[misc]

    def perform(self, outputs: Iterable[AccountOutput]) -> None:
        for output in outputs:
            if isinstance(output, Sign):
                text = output.prepare(KEY, self.market, "n1")
                self.perform(output.then(self.signed(text)))
            elif isinstance(output, Send):
                answers = self.exchange.reception.hear(self.conversation, output.text, self.now)
                self.exchange.hub.refresh(self.conversation)
                self.hear([one.text for one in answers if isinstance(one, Say)])
            else:
                self.told.append(output)

    def signed(self, text: str) -> Signed:
        return Signed(key=KEY, signature=signature(self.secret, text), at=self.market, nonce="n1")

    def hear(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.perform(self.session.receive(text, self.market))

    def run(self, seconds: int) -> None:
        """So many seconds of the market, one at a time."""
        for _ in range(seconds):
            self.now += 1.0
            for conversation, one in self.exchange.step(self.exchange.source.now + SECOND, self.now):
                if conversation is self.conversation:
                    self.hear([one] if isinstance(one, str) else [one.text] if isinstance(one, Say) else [])
            spoken = self.exchange.due(self.conversation, self.now)
            assert not [one for one in spoken if isinstance(one, Close)], "it hangs up"
            self.hear([one.text for one in spoken if isinstance(one, Say)])
            self.perform(self.session.due(self.now, self.market))

    def strike(self, fault: str, **more: Any) -> None:
        desk = self.exchange.desk
        assert desk is not None
        account = account_of(self.exchange)
        for conversation, one in desk.half.strike(account, Fault(fault=fault, **more), self.now):
            if conversation is self.conversation and isinstance(one, Say):
                self.hear([one.text])

    # --- by REST ----------------------------------------------------------------------------------------

    def get(self, request: PrivateRequest) -> bytes:
        text = EXCHANGE.to_sign(request, KEY, self.market, "n2")
        signed = Signed(key=KEY, signature=signature(self.secret, text), at=self.market, nonce="n2")
        sent = EXCHANGE.with_signature(request, signed)
        query = {name: str(value) for name, value in sent.query.items()}
        target = f"{sent.path}?{urlencode(query)}" if query else sent.path
        headers = {name.lower(): value for name, value in sent.headers.items()}
        carried = Carried(sent.method, target, headers, "")
        answer = self.exchange.answer(sent.method, sent.path, query, self.now, carried)
        error = EXCHANGE.error_of(answer.status, answer.body.encode())
        if error is not None:
            raise error
        return answer.body.encode()

    def ask(self, asks: Sequence[Ask]) -> list[AccountRecord]:
        told: list[AccountRecord] = []
        for first in asks:
            ask: Ask | None = first
            while ask is not None:
                self.now += 2.0  # credits come back
                page = ask.read(self.get(ask.request), self.market)
                told += page.records
                ask = page.further
        return told

    def history(self, since: int, until: int) -> Books:
        """All that is told of [since, until)."""
        questions: list[Callable[[Known, int, int], list[Ask]]] = [
            EXCHANGE.orders,
            EXCHANGE.fills,
            EXCHANGE.movements,
        ]
        asks = [ask for question in questions for ask in question(Known(), since, until)]
        return books_of(self.ask([*asks, *EXCHANGE.open_orders()]))


@pytest.fixture(scope="module")
def traded() -> Joined:
    """Twelve minutes of a random trader, heard from its first order on."""
    joined = Joined(exchange_with(spec(orders_per_minute=60)))
    joined.run(12 * 60)
    return joined


def average_of(book: Book, order_id: str) -> Decimal | None:
    average = book.orders[order_id].average
    return None if average is None else average.quantize(PRICE)


def assert_orders_are_theirs(ours: Books, book: Book) -> None:
    found = {one.order_id: one for one in ours.orders}
    assert found.keys() == book.orders.keys()
    for order_id, theirs in book.orders.items():
        one = found[order_id]
        assert (one.symbol, one.side, one.status, one.state) == (
            theirs.symbol,
            theirs.side,
            theirs.state,
            OrderState(theirs.state),
        )
        assert (one.quantity, one.filled) == (theirs.quantity, theirs.filled)
        assert (one.price, one.trigger_price) == (theirs.price, theirs.trigger_price)
        assert one.average_price == average_of(book, order_id)
        assert (one.parent_id, one.label, one.reason) == (theirs.parent_id, theirs.label, theirs.reason)
        assert (one.reduce_only, one.post_only) == (theirs.reduce_only, theirs.post_only)
        assert (one.created, one.event_time) == (
            theirs.created // 1000 * 1000,
            theirs.updated // 1000 * 1000,
        )


def assert_fills_are_theirs(ours: Books, book: Book) -> None:
    found = {(one.symbol, one.fill_id, one.order_id): one for one in ours.fills}
    assert len(found) == len(book.fills)
    for theirs in book.fills:
        one = found[theirs.symbol, theirs.fill_id, theirs.order_id]
        assert (one.side, one.price, one.quantity, one.sequence) == (
            theirs.side,
            theirs.price,
            theirs.quantity,
            theirs.number,
        )
        assert (one.fee, one.fee_asset, one.maker) == (theirs.fee, theirs.fee_asset, theirs.maker)
        assert (one.realized_pnl, one.label) == (theirs.realized, theirs.label)
        assert one.event_time == theirs.time // 1000 * 1000
        assert not one.combo


def assert_positions_are_theirs(ours: Iterable[Position], book: Book) -> None:
    found = {one.symbol: one.quantity for one in ours if one.quantity}
    assert found == {symbol: one.quantity for (symbol, _), one in book.positions.items() if one.quantity}


def assert_movements_are_theirs(ours: Books, book: Book) -> None:
    assert [
        (one.sequence, one.kind, one.asset, one.change, one.balance, one.fee, one.fill_id, one.order_id)
        for one in sorted(ours.movements, key=lambda one: one.sequence or 0)
    ] == [
        (one.number, one.kind, one.asset, one.change, one.balance, one.fee, one.fill_id, one.order_id)
        for one in book.movements
    ]


def test_logged_in_subscribed_and_live(traded: Joined) -> None:
    assert traded.session.live
    assert len(only(traded.told, Ready)) == 1
    assert not only(traded.told, Reconnect)
    assert {one.kind for one in only(traded.told, AccountNote)} <= {NoteKind.ACCESS}
    assert traded.session.ignored == {}


def test_what_was_heard_is_the_exchange_s_book(traded: Joined) -> None:
    book, ours = account_of(traded.exchange).book, books_of(traded.records)
    states = {one.state for one in book.orders.values()}
    assert {"open", "filled", "cancelled", "triggered"} <= states
    assert any(one.parent_id for one in book.orders.values())
    assert len(book.fills) > 100
    assert_orders_are_theirs(ours, book)
    assert_fills_are_theirs(ours, book)
    assert_positions_are_theirs(ours.positions, book)
    assert {one.asset: one.total for one in ours.balances} == book.balances


def test_messages_may_be_stored_in_any_order_and_more_than_once(traded: Joined) -> None:
    book, told = account_of(traded.exchange).book, traded.records
    Random(5).shuffle(told)
    ours = books_of([*told, *told[::3]])
    assert_orders_are_theirs(ours, book)
    assert_fills_are_theirs(ours, book)
    assert_positions_are_theirs(ours.positions, book)
    assert {one.asset: one.total for one in ours.balances} == book.balances


def test_each_event_has_an_identity_of_its_own(traded: Joined) -> None:
    """No two different things that were told of an order are taken for one."""
    seen: dict[tuple[object, ...], object] = {}
    for one in only(traded.told, OrderEvent):
        identity = (one.symbol, one.order_id, one.event_time, one.update, one.event)
        whole = (one.state, one.filled, one.price, one.quantity, one.average_price)
        assert seen.setdefault(identity, whole) == whole


def test_what_is_read_again_is_the_same(traded: Joined) -> None:
    book = account_of(traded.exchange).book
    traded.run(61)  # archives lag by a minute
    ours = traded.history(0, traded.market)
    assert_orders_are_theirs(ours, book)
    assert_fills_are_theirs(ours, book)
    assert_movements_are_theirs(ours, book)
    rows = Counter((one.symbol, one.fill_id) for one in ours.movements)
    assert 2 in rows.values(), "a trade through zero has two rows"
    closing = dict(book.opening)
    for one in ours.movements:
        closing[one.asset] += one.change
    assert closing == book.balances
    live = books_of(traded.records)
    told = {one.order_id: one.update for one in ours.orders}
    assert {one.order_id: one.update for one in live.orders} == told, "one moment, one number"


def test_how_things_stand(traded: Joined) -> None:
    book = account_of(traded.exchange).book
    assert_positions_are_theirs(only(traded.ask(EXCHANGE.positions()), Position), book)
    balances = only(traded.ask(EXCHANGE.balances()), Balance)
    assert {one.asset: one.total for one in balances} == book.balances
    waiting = books_of(traded.ask(EXCHANGE.open_orders())).orders
    assert {one.order_id for one in waiting} == {one.order_id for one in book.waiting()}
    some = next(iter(book.orders.values()))
    (order,) = books_of(traded.ask(EXCHANGE.order(some.symbol, some.order_id))).orders
    assert order.status == some.state


def test_an_interval_holds_what_happened_in_it() -> None:
    joined = Joined(exchange_with(spec(orders_per_minute=60)))
    joined.run(300)
    since = joined.market
    joined.run(300)
    until = joined.market
    joined.run(90)
    ours, book = joined.history(since, until), account_of(joined.exchange).book
    fills = [one for one in book.fills if since <= one.time // 1000 * 1000 < until]
    assert {one.fill_id for one in ours.fills} == {one.fill_id for one in fills} != set()
    rows = [one for one in book.movements if since <= one.time // 1000 * 1000 < until]
    assert {one.sequence for one in ours.movements} == {one.number for one in rows}
    over = {one.order_id for one in book.orders.values() if not one.waits and since <= one.updated < until}
    assert over - {one.order_id for one in ours.orders} == set()


def test_a_settlement_pays_out_and_tells_funding_apart() -> None:
    joined = Joined(exchange_with(spec(orders_per_minute=60)))
    joined.run(300)
    joined.strike("funding", amount=1)
    joined.strike("settlement")
    joined.run(90)
    book = account_of(joined.exchange).book
    ours = joined.history(0, joined.market)
    assert_movements_are_theirs(ours, book)
    settled = {one.number: one.funding for one in book.movements if one.kind == "settlement"}
    assert settled
    assert any(settled.values())
    assert {one.sequence: one.funding for one in ours.movements if one.kind == "settlement"} == settled


def test_a_liquidation_and_a_lock_are_told() -> None:
    joined = Joined(exchange_with(spec(orders_per_minute=0)))
    joined.run(5)
    account = account_of(joined.exchange)
    bought = account.trader.place("BTC-PERPETUAL", "buy", Decimal(10_000), kind="market")
    joined.run(120)
    account.trader.liquidate("BTC-PERPETUAL", "autoliquidation")
    account.book.note("lock", "true", joined.market)
    joined.run(120)
    ours = books_of(joined.records)
    assert_orders_are_theirs(ours, account.book)
    assert_fills_are_theirs(ours, account.book)
    assert ours.fills
    assert all(one.liquidation is (one.order_id != bought.order_id) for one in (*ours.fills, *ours.orders))
    locks = [one.text for one in only(joined.told, AccountNote) if one.kind is NoteKind.LOCK]
    assert locks == ["locked: ALL"]


def test_a_wrong_secret_is_refused() -> None:
    joined = Joined(exchange_with(spec()), secret="OTHER")
    (note,) = only(joined.told, AccountNote)
    assert note.kind is NoteKind.REFUSED
    assert "13004" in note.text
    (end,) = only(joined.told, Reconnect)
    assert end.after_seconds == 300.0


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        ("account:read trade:read", "lacks wallet:read"),
        ("account:read_write trade:read_write wallet:read_write", ""),
    ],
)
def test_a_narrow_key_is_refused_and_a_wide_one_is_granted_no_more_than_it_asked(
    scopes: str, words: str
) -> None:
    joined = Joined(exchange_with(spec(scopes=scopes)))
    assert joined.session.live is (not words)
    assert all(words in note.text for note in only(joined.told, AccountNote))


def test_what_a_key_may_do() -> None:
    joined = Joined(exchange_with(spec(scopes="account:read trade:read_write wallet:read_write")))
    asked = EXCHANGE.permissions()
    may = asked.read(joined.get(asked.request))
    assert (may.read, may.trade, may.withdraw, may.ip_restricted) == (True, True, True, None)
    assert asked.further is not None
    listed = asked.further(KEY)
    may = listed.read(joined.get(listed.request))
    assert (may.read, may.trade, may.withdraw) == (True, True, True)
    assert may.ip_restricted is not None


@pytest.mark.parametrize("notice", [True, False])
def test_a_login_that_ends_is_found_out(notice: bool) -> None:
    joined = Joined(exchange_with(spec(orders_per_minute=60)))
    joined.run(60)
    lapsed = joined.market
    joined.strike("key_expired", notice=notice)
    joined.run(60)
    assert not joined.session.live
    notes = [one for one in only(joined.told, AccountNote) if one.kind is NoteKind.ENDED]
    assert len(notes) == 1
    assert notes[0].event_time <= lapsed, "what is read again begins before it"
    (end,) = only(joined.told, Reconnect)
    assert end.after_seconds == 0.0


def test_it_stays_live_where_nothing_happens() -> None:
    joined = Joined(exchange_with(spec(orders_per_minute=0)))
    joined.run(300)
    assert joined.session.live
    assert not only(joined.told, Reconnect)


def test_a_market_without_our_session_is_read_afterwards() -> None:
    exchange = exchange_with(spec(orders_per_minute=60))
    run(exchange, 600)
    joined = Joined(exchange)
    joined.run(61)
    book = account_of(exchange).book
    ours = joined.history(0, joined.market)
    assert_orders_are_theirs(ours, book)
    assert_fills_are_theirs(ours, book)
    assert_movements_are_theirs(ours, book)

"""A week of an account's life, as its exchange would tell it: the truth that tests hold books against."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.domain.account_books import WAITING, Books, books_of
from trade_platform.domain.account_proof import Opening
from trade_platform.domain.accounts import (
    AccountRecord,
    Balance,
    Fill,
    Movement,
    MovementKind,
    OrderEvent,
    OrderState,
    Origin,
    Position,
)
from trade_platform.domain.difference import Subject
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE, Side
from trade_platform.domain.reconciliation import Answer, Held, Told
from trade_platform.domain.valuation import Terms, Valuation

D = Decimal
START: Final = 1_790_000_000_000_000 // DAY * DAY
END: Final = START + 7 * DAY
ASKED: Final = END + MINUTE
EXCHANGES: Final = ("deribit", "binance_usdm", "binance_spot")
SYMBOLS: Final = {
    "deribit": ("BTC-PERPETUAL", "ETH-PERPETUAL"),
    "binance_usdm": ("BTCUSDT", "ETHUSDT"),
    "binance_spot": ("BTCUSDT", "ETHUSDT"),
}
PRICES: Final = {"BTC": D("60000"), "ETH": D("2500"), "BNB": D("600")}
LABELS: Final = ("alpha", "beta", "")


def terms_of(exchange: str) -> dict[str, Terms]:
    if exchange == "deribit":
        return {
            f"{base}-PERPETUAL": Terms(base=base, quote="USD", settlement=base, inverse=True)
            for base in ("BTC", "ETH")
        }
    return {f"{base}USDT": Terms(base=base, quote="USDT", settlement="USDT") for base in ("BTC", "ETH")}


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, in order, and how it ended."""

    exchange: str
    events: Sequence[AccountRecord]
    """Everything, as a stream would have told it."""
    truth: Books
    opening: Opening

    @property
    def valuation(self) -> Valuation:
        return Valuation(prices=PRICES, terms=terms_of(self.exchange))

    def held(self, books: Books | None = None) -> Held:
        """Ours; else the truth itself."""
        return Held(books=books or self.truth, at=ASKED)

    def told(self, *, unknown: frozenset[Subject] = frozenset()) -> Told:
        """All questions answered, but for ``unknown``."""
        answers = {
            subject: Answer(
                at=ASKED,
                since=START,
                until=ASKED,
                problem="the exchange was away" if subject in unknown else "",
            )
            for subject in Subject
            if subject is not Subject.WALLET
        }
        if self.exchange == "binance_spot":
            del answers[Subject.POSITIONS]
        books = msgspec.structs.replace(
            self.truth,
            orders=[one for one in self.truth.orders if one.state not in WAITING],
            positions=[one for one in self.truth.positions if one.quantity],
        )
        return Told(
            books=books,
            open_orders=[one for one in self.truth.orders if one.state in WAITING],
            answers=answers,
        )


def week_of(exchange: str, seed: int, orders: int = 90) -> Week:
    life = _Life(exchange, seed)
    life.begin()
    for number in range(orders):
        life.trade(START + MINUTE + (number * (7 * DAY - 60 * MINUTE)) // orders)
    return Week(
        exchange=exchange,
        events=life.events,
        truth=books_of(life.events),
        opening=Opening(
            balances=[one for one in life.events if isinstance(one, Balance)],
            positions=(),
            positions_at=START - MINUTE,
        ),
    )


class _Life:
    def __init__(self, exchange: str, seed: int) -> None:
        self.exchange = exchange
        self.chance = random.Random(f"{exchange}/{seed}")
        self.events: list[AccountRecord] = []
        self.balances: dict[str, Decimal] = {}
        self.positions: dict[str, Decimal] = {}
        self.terms = terms_of(exchange)
        self.numbers = 1000
        self.sequence = 5000
        self.settled = 0

    def begin(self) -> None:
        opening = {"BTC": D("10"), "ETH": D("80")}
        if self.exchange == "binance_usdm":
            opening = {"USDT": D("100000.5")}
        elif self.exchange == "binance_spot":
            opening |= {"USDT": D("250000.25"), "BNB": D("30")}
        for asset, total in opening.items():
            self.balances[asset] = total
            self._balance(asset, START - MINUTE)

    def trade(self, at: int) -> None:
        """One order and what becomes of it; now and then money comes or goes."""
        self._daily(at)
        symbol = self.chance.choice(SYMBOLS[self.exchange])
        terms = self.terms[symbol]
        price = (PRICES[terms.base] * D(self.chance.randint(9800, 10200)) / 10000).quantize(D("0.1"))
        quantity = (
            D(self.chance.randint(2, 90) * 10) if terms.inverse else D(self.chance.randint(2, 90)) / 1000
        )
        order = OrderEvent(
            symbol=symbol,
            order_id=str(self._number()),
            state=OrderState.OPEN,
            status="NEW",
            event="NEW",
            side=self.chance.choice(list(Side)),
            order_type="limit",
            quantity=quantity,
            filled=D(0),
            event_time=at,
            receive_time=at + 5000,
            price=price,
            time_in_force="gtc",
            created=at,
            client_id=f"c{self.numbers}",
            position_side=self._side_of(symbol),
            label=self.chance.choice(LABELS),
            update=1,
        )
        if self.chance.random() < 0.2:
            order = self._stop(order)
            if order.state is not OrderState.OPEN:
                return
        self._say(order)
        self._fills(order)

    def _stop(self, order: OrderEvent) -> OrderEvent:
        """A conditional order: it waits, is taken back, or makes another."""
        stop = msgspec.structs.replace(
            order, state=OrderState.UNTRIGGERED, trigger_price=order.price, order_type="stop_limit"
        )
        self._say(stop)
        fate = self.chance.random()
        if fate < 0.3:
            return stop
        later = order.event_time + 20 * MICROSECONDS
        ended = OrderState.CANCELLED if fate < 0.6 else OrderState.TRIGGERED
        self._say(
            msgspec.structs.replace(
                stop, state=ended, event="DONE", event_time=later, update=2, receive_time=later
            )
        )
        if ended is OrderState.CANCELLED:
            return stop
        return msgspec.structs.replace(
            order, order_id=str(self._number()), parent_id=stop.order_id, event_time=later, created=later
        )

    def _fills(self, order: OrderEvent) -> None:
        """Some fills, and then it is full, cancelled or still there."""
        parts = self.chance.choice([0, 1, 1, 2, 3])
        at, filled, update, spent = order.event_time, D(0), order.update, D(0)
        step = D(10) if self.terms[order.symbol].inverse else D("0.001")
        for left in range(parts, 0, -1):
            at += self.chance.randint(15, 90) * MICROSECONDS
            rest = order.quantity - filled
            whole = left == 1 and self.chance.random() < 0.7
            part = rest if whole else max(step, (rest / (left + 1)).quantize(step) // step * step)
            if part <= 0 or part > rest:
                break
            filled, update = filled + part, update + 1
            spent += part * (order.price or D(1))
            state = OrderState.FILLED if filled == order.quantity else OrderState.OPEN
            self._say(
                msgspec.structs.replace(
                    order,
                    state=state,
                    status=state.value,
                    event="TRADE",
                    filled=filled,
                    event_time=at,
                    receive_time=at + 4000,
                    update=update,
                    average_price=spent / filled,
                )
            )
            self._fill(order, part, at)
        if filled < order.quantity and self.chance.random() < 0.7:
            at += 30 * MICROSECONDS
            self._say(
                msgspec.structs.replace(
                    order,
                    state=OrderState.CANCELLED,
                    status="CANCELED",
                    event="CANCELED",
                    filled=filled,
                    event_time=at,
                    receive_time=at + 4000,
                    update=update + 1,
                    average_price=spent / filled if filled else None,
                    reason="user_request",
                )
            )

    def _fill(self, order: OrderEvent, quantity: Decimal, at: int) -> None:
        terms, price = self.terms[order.symbol], order.price or D(1)
        sign = 1 if order.side is Side.BUY else -1
        worth = quantity / price if terms.inverse else quantity * price
        fee = (worth * D("0.0004")).quantize(D("1e-8"))
        fee_asset = terms.base if terms.inverse else "USDT"
        if self.exchange == "binance_spot" and self.chance.random() < 0.5:
            fee_asset, fee = "BNB", (fee / 600).quantize(D("1e-8"))
        derivative = self.exchange != "binance_spot"
        pnl = (worth * D(self.chance.randint(-20, 20)) / 1000).quantize(D("1e-8")) if derivative else None
        fill = Fill(
            symbol=order.symbol,
            fill_id=str(self._number()),
            order_id=order.order_id,
            side=order.side,
            price=price,
            quantity=quantity,
            event_time=at,
            receive_time=at + 4000,
            fee=fee,
            fee_asset=fee_asset,
            maker=self.chance.random() < 0.5,
            realized_pnl=pnl,
            label=order.label,
            quote_quantity=None if terms.inverse else worth,
            sequence=self.numbers,
            position_side=order.position_side,
        )
        self._say(fill)
        if not derivative:
            self._change(terms.base, sign * quantity)
            self._change("USDT", -sign * worth)
            self._change(fee_asset, -fee)
            for asset in sorted({terms.base, "USDT", fee_asset}):
                self._balance(asset, at)
            return
        self.positions[order.symbol] = self.positions.get(order.symbol, D(0)) + sign * quantity
        self._say(
            Position(
                symbol=order.symbol,
                quantity=self.positions[order.symbol],
                event_time=at,
                asset=fee_asset,
                receive_time=at + 4000,
                average_price=price,
                mark_price=price,
                margin_mode="cross",
                position_side=order.position_side,
            )
        )
        if self.exchange == "deribit":
            self._move(MovementKind.TRADE, fee_asset, -fee, at, fill, fee=fee)
        else:
            self._move(MovementKind.REALIZED_PNL, "USDT", pnl or D(0), at, fill)
            self._move(MovementKind.FEE, "USDT", -fee, at, fill)
        self._balance(fee_asset, at)

    def _daily(self, at: int) -> None:
        """Once a day: funding or settlement, a deposit or a withdrawal."""
        day = (at - START) // DAY
        if day < self.settled:
            return
        self.settled = day + 1
        at -= 30 * MICROSECONDS
        if self.exchange == "deribit":
            for asset in ("BTC", "ETH"):
                change = D(self.chance.randint(-9000, 9000)) / D(10**8)
                self._move(
                    MovementKind.SETTLEMENT,
                    asset,
                    change,
                    at,
                    funding=D("0.00000123"),
                    symbol=f"{asset}-PERPETUAL",
                )
                self._balance(asset, at)
        elif self.exchange == "binance_usdm":
            self._move(
                MovementKind.FUNDING, "USDT", D(self.chance.randint(-900, 900)) / 100, at, symbol="BTCUSDT"
            )
            self._balance("USDT", at)
        asset = "BTC" if self.exchange == "deribit" else "USDT"
        moved = self.chance.choice([MovementKind.DEPOSIT, MovementKind.TRANSFER, MovementKind.WITHDRAWAL])
        sign = -1 if moved is MovementKind.WITHDRAWAL else 1
        self._move(moved, asset, sign * D(self.chance.randint(1, 500)) / 1000, at + 10 * MICROSECONDS)
        self._balance(asset, at + 10 * MICROSECONDS)

    def _move(
        self,
        kind: MovementKind,
        asset: str,
        change: Decimal,
        at: int,
        fill: Fill | None = None,
        fee: Decimal | None = None,
        funding: Decimal | None = None,
        symbol: str = "",
    ) -> None:
        self._change(asset, change)
        chained = self.exchange == "deribit"
        self.sequence += 1
        self._say(
            Movement(
                movement_id=f"{kind.value}:{self._number()}",
                kind=kind,
                word=kind.value.upper(),
                asset=asset,
                change=change,
                event_time=at,
                receive_time=at + 5000,
                fee=fee,
                funding=funding,
                balance=self.balances[asset] if chained else None,
                sequence=self.sequence if chained else None,
                symbol=fill.symbol if fill else symbol,
                fill_id=fill.fill_id if fill else "",
                order_id=fill.order_id if fill else "",
            )
        )

    def _change(self, asset: str, by: Decimal) -> None:
        self.balances[asset] = self.balances.get(asset, D(0)) + by

    def _balance(self, asset: str, at: int) -> None:
        self._say(
            Balance(
                asset=asset,
                total=self.balances[asset],
                event_time=at,
                receive_time=at + 4000,
                locked=D(0),
                origin=Origin.STREAM,
            )
        )

    def _say(self, record: AccountRecord) -> None:
        self.events.append(record)

    def _side_of(self, symbol: str) -> str:
        """One of the instruments is traded in hedge mode."""
        return "LONG" if (self.exchange, symbol) == ("binance_usdm", "ETHUSDT") else ""

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

"""What happened at Deribit: orders, fills and the ledger of an interval, page by page.

Histories are told per currency, so the currencies of the account are asked for first, and of each history
there are two: what is live (orders of half an hour, fills of a day) and an archive that lags behind it. Both
are asked; who reads them knows a row by its key, however often it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.accounts import AccountRecord, OrderEvent, Origin
from trade_platform.exchanges.account import Ask, Page, PrivateRequest
from trade_platform.exchanges.deribit.private import records, wire
from trade_platform.exchanges.deribit.private.answers import orders_of, request, result, safely, summaries
from trade_platform.exchanges.deribit.records import MILLISECOND
from trade_platform.exchanges.session import ProtocolViolation

Step: TypeAlias = Callable[["Ask | None"], Ask]
"""One question of several: it is told which comes after it."""

TRANSACTION_LOG: Final = "transaction_log"
"""The limit that it counts against."""
ORDERS_A_PAGE: Final = 1000
FILLS_A_PAGE: Final = 1000
ROWS_A_PAGE: Final = 250
HISTORIES: Final = ("false", "true")
"""``historical``: live, archived."""
TRADED: Final = frozenset({"BTC", "ETH", "USDC", "USDT", "EURR"})
"""Asked about always. Others are collateral, which not every method may take: only where some is held."""


def orders(since: int, until: int) -> list[Ask]:
    """Orders that changed meanwhile: both histories, and the one of triggers, of each currency."""
    span = range(since // MILLISECOND * MILLISECOND, until)

    def steps(currency: str) -> list[Step]:
        listed = [_order_page(currency, historical, 0, span) for historical in HISTORIES]
        return [*listed, _trigger_page(currency, "", span)]

    return [_each_currency("orders", steps)]


def fills(since: int, until: int) -> list[Ask]:
    """Both histories of each currency."""
    first, last = since // MILLISECOND, max(since // MILLISECOND, -(-until // MILLISECOND) - 1)

    def steps(currency: str) -> list[Step]:
        return [_fill_page(currency, historical, first, last) for historical in HISTORIES]

    return [_each_currency("fills", steps)]


def movements(since: int, until: int) -> list[Ask]:
    """The transaction log of each currency."""
    first, last = since // MILLISECOND, max(since // MILLISECOND, -(-until // MILLISECOND) - 1)

    def steps(currency: str) -> list[Step]:
        return [_log_page(currency, "", first, last)]

    return [_each_currency("ledger", steps)]


def _each_currency(what: str, steps_of: Callable[[str], Sequence[Step]]) -> Ask:
    def read(body: bytes, receive_time: int) -> Page:
        del receive_time
        found, _ = result(body, wire.Summaries)
        asked = [one.currency for one in found.summaries if one.currency in TRADED or _is_held(one)]
        steps = [step for currency in asked for step in steps_of(currency)]
        return Page(further=_chain(steps))

    return Ask(what=f"{what}: currencies", request=summaries(), read=safely(read))


def _is_held(one: wire.Portfolio) -> bool:
    return any((one.balance, one.equity, one.session_rpl, one.session_upl))


def _chain(steps: Sequence[Step]) -> Ask | None:
    """One after the other."""
    ask: Ask | None = None
    for step in reversed(steps):
        ask = step(ask)
    return ask


def _order_page(currency: str, historical: str, offset: int, span: range) -> Step:
    """Newest first, by which of their times is not said: it ends where a whole page is too old."""

    def step(after: Ask | None) -> Ask:
        def read(body: bytes, receive_time: int) -> Page:
            found, _ = result(body, list[wire.Order] | wire.Orders)  # type: ignore[arg-type]
            rows = found.orders if isinstance(found, wire.Orders) else found
            told = orders_of(rows, receive_time, Origin.HISTORY)
            old = all(one.event_time < span.start for one in told)
            if len(rows) < ORDERS_A_PAGE or old:
                return Page(records=_within(told, span), further=after)
            more = _order_page(currency, historical, offset + len(rows), span)
            return Page(records=_within(told, span), further=more(after))

        asked = request(
            "get_order_history_by_currency",
            currency=currency,
            count=ORDERS_A_PAGE,
            offset=offset,
            include_old="true",
            include_unfilled="true",
            historical=historical,
        )
        return Ask(what=f"orders of {currency}", request=asked, read=safely(read))

    return step


def _trigger_page(currency: str, continuation: str, span: range) -> Step:
    """Likewise."""

    def step(after: Ask | None) -> Ask:
        def read(body: bytes, receive_time: int) -> Page:
            found, _ = result(body, wire.Orders)
            told = [records.triggered_event(one, receive_time) for one in found.entries]
            following = wire.text(found.continuation)
            old = all(one.event_time < span.start for one in told)
            if not following or following == continuation or old:
                return Page(records=_within(told, span), further=after)
            more = _trigger_page(currency, following, span)
            return Page(records=_within(told, span), further=more(after))

        asked = request("get_trigger_order_history", currency=currency, count=ORDERS_A_PAGE)
        return Ask(what=f"triggers of {currency}", request=_continued(asked, continuation), read=safely(read))

    return step


def _fill_page(currency: str, historical: str, first: int, last: int) -> Step:
    """Oldest first; both ends are inclusive, in milliseconds."""

    def step(after: Ask | None) -> Ask:
        def read(body: bytes, receive_time: int) -> Page:
            found, _ = result(body, wire.Trades)
            told = [records.fill(one, receive_time, Origin.HISTORY) for one in found.trades]
            if not found.has_more or not told:
                return Page(records=told, further=after)
            newest = max(one.timestamp for one in found.trades)
            if newest <= first:
                raise ProtocolViolation(f"more than {len(told)} fills of one millisecond")
            return Page(records=told, further=_fill_page(currency, historical, newest, last)(after))

        asked = request(
            "get_user_trades_by_currency_and_time",
            currency=currency,
            start_timestamp=first,
            end_timestamp=last,
            count=FILLS_A_PAGE,
            sorting="asc",
            historical=historical,
        )
        return Ask(what=f"fills of {currency}", request=asked, read=safely(read))

    return step


def _log_page(currency: str, continuation: str, first: int, last: int) -> Step:
    """Newest first; the continuation is a row of the log, before which it goes on."""

    def step(after: Ask | None) -> Ask:
        def read(body: bytes, receive_time: int) -> Page:
            found, _ = result(body, wire.Log)
            told = [records.movement(one, receive_time) for one in found.logs]
            following = wire.text(found.continuation)
            if not following:
                return Page(records=told, further=after)
            if following == continuation:
                raise ProtocolViolation("a transaction log that goes on where it began")
            return Page(records=told, further=_log_page(currency, following, first, last)(after))

        asked = msgspec.structs.replace(
            request(
                "get_transaction_log",
                currency=currency,
                start_timestamp=first,
                end_timestamp=last,
                count=ROWS_A_PAGE,
            ),
            weight=1,
            limit=TRANSACTION_LOG,
        )
        return Ask(what=f"ledger of {currency}", request=_continued(asked, continuation), read=safely(read))

    return step


def _continued(asked: PrivateRequest, continuation: str) -> PrivateRequest:
    if not continuation:
        return asked
    return msgspec.structs.replace(asked, query={**asked.query, "continuation": continuation})


def _within(told: Iterable[OrderEvent], span: range) -> list[AccountRecord]:
    return [one for one in told if one.event_time in span]

"""The whole proof: what it says of a wallet where something is not known."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.domain.account_week import ASKED, EXCHANGES, Week, week_of
from trade_platform.domain.account_proof import Opening, Proof, prove
from trade_platform.domain.accounts import Balance, MovementKind, Origin
from trade_platform.domain.difference import Subject
from trade_platform.domain.reconciliation import State


def proof(week: Week, opening: Opening | None = None, **changed: object) -> Proof:
    books = msgspec.structs.replace(week.truth, **changed)
    return prove(
        week.held(books),
        week.told(),
        opening or week.opening,
        exchange=week.exchange,
        valuation=week.valuation,
    )


def wallet(found: Proof) -> list[tuple[str, str]]:
    return [(one.key, one.field) for one in found.differences if one.subject is Subject.WALLET]


@pytest.mark.parametrize("exchange", ["binance_usdm", "binance_spot"])
def test_a_wallet_without_an_opening_is_unknown(exchange: str) -> None:
    week = week_of(exchange, 2)
    found = proof(week, Opening())
    assert found.states[Subject.WALLET] is State.UNKNOWN
    assert wallet(found) == []


def test_a_chain_needs_no_opening() -> None:
    found = proof(week_of("deribit", 2), Opening())
    assert found.states[Subject.WALLET] is State.OK


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_balances_that_were_not_told_leave_the_wallet_unknown(exchange: str) -> None:
    week = week_of(exchange, 2)
    told = week.told(unknown=frozenset({Subject.BALANCES}))
    found = prove(week.held(), told, week.opening, exchange=exchange, valuation=week.valuation)
    assert found.states[Subject.BALANCES] is State.UNKNOWN
    if exchange != "deribit":
        assert found.states[Subject.WALLET] is State.UNKNOWN
    assert list(found.differences) == []


def test_an_opening_amid_movements_is_not_taken() -> None:
    """Whether a balance that was asked for holds the movement already, nobody knows."""
    week = week_of("binance_usdm", 2)
    first = min(week.truth.movements, key=lambda row: row.event_time)
    amid = Balance(
        asset="USDT", total=Decimal(1), event_time=first.event_time, receive_time=0, origin=Origin.SNAPSHOT
    )
    assert wallet(proof(week, Opening(balances=[amid]))) == []
    streamed = msgspec.structs.replace(amid, origin=Origin.STREAM)
    assert wallet(proof(week, Opening(balances=[streamed]))) != []
    twice = msgspec.structs.replace(streamed, total=Decimal(2))
    assert wallet(proof(week, Opening(balances=[streamed, twice]))) == []


def test_an_asset_that_is_moving_is_proven_until_its_last_clear_moment() -> None:
    """The fill has just come; what it did to the balances is not told yet."""
    week = week_of("binance_spot", 2)
    late = msgspec.structs.replace(week.truth.fills[-1], event_time=ASKED, fill_id="late")
    found = proof(week, fills=[*week.truth.fills, late])
    assert wallet(found) == []
    assert {line.asset for line in found.lines} == {"BTC", "ETH", "USDT", "BNB"}
    wrong = msgspec.structs.replace(week.truth.fills[0], quantity=week.truth.fills[0].quantity * 2)
    assert wallet(proof(week, fills=[wrong, *week.truth.fills[1:], late])) != []


def test_what_moved_by_their_word_alone_is_moving_too() -> None:
    """Its row of the ledger has not reached us."""
    week = week_of("deribit", 2)
    told = week.told()
    row = msgspec.structs.replace(
        max(told.books.movements, key=lambda row: row.sequence or 0), event_time=ASKED - 1, movement_id="late"
    )
    balances = [msgspec.structs.replace(one, total=one.total + 1) for one in told.books.balances]
    books = msgspec.structs.replace(told.books, balances=balances, movements=[*told.books.movements, row])
    late = msgspec.structs.replace(told, books=books)
    found = prove(week.held(), late, week.opening, exchange="deribit", valuation=week.valuation)
    assert [key for key, _ in wallet(found)] == [{"BTC", "ETH"}.difference({row.asset}).pop()]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_fees_funding_and_transfers_have_lines_of_their_own(exchange: str) -> None:
    found = proof(week_of(exchange, 2))
    kinds = {kind for line in found.lines for kind in line.changes}
    wanted = {
        "deribit": {MovementKind.FEE, MovementKind.FUNDING, MovementKind.SETTLEMENT},
        "binance_usdm": {MovementKind.FEE, MovementKind.FUNDING, MovementKind.REALIZED_PNL},
        "binance_spot": {MovementKind.FEE, MovementKind.TRADE},
    }[exchange]
    assert kinds >= wanted
    assert kinds & {MovementKind.DEPOSIT, MovementKind.WITHDRAWAL, MovementKind.TRANSFER}


def test_positions_are_proven_by_fills_even_where_their_history_is_not_told() -> None:
    week = week_of("binance_usdm", 2)
    (lost, *fills) = week.truth.fills
    told = week.told(unknown=frozenset({Subject.FILLS}))
    books = msgspec.structs.replace(week.truth, fills=fills)
    found = prove(week.held(books), told, week.opening, exchange=week.exchange, valuation=week.valuation)
    assert wallet(found) == [(f"{lost.symbol}|{lost.position_side}", "position")]

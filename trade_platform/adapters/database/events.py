"""Liquidations, instrument states, exchange states and gaps: rows with natural keys, inserted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment, optional_moment
from trade_platform.domain.model import ExchangeState, Gap, InstrumentState, Liquidation

_LIQUIDATION: Final = """
INSERT INTO liquidation (instrument_id, event_time, side, price, average_price, quantity, filled, status,
                         receive_time)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_INSTRUMENT_STATE: Final = """
INSERT INTO instrument_state (instrument_id, event_time, status, receive_time)
VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_EXCHANGE_STATE: Final = """
INSERT INTO exchange_state (exchange, scope, event_time, status, reason, receive_time)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_GAP: Final = """
INSERT INTO gap (exchange, symbol, channel, reason, first_sequence, last_sequence, since, until, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


def write_liquidations(connection: Connection, liquidations: Mapping[int, Sequence[Liquidation]]) -> int:
    """Those that are new; returns how many."""
    return _insert(
        connection,
        _LIQUIDATION,
        (
            (
                instrument_id,
                moment(one.event_time),
                one.side.value,
                one.price,
                one.average_price,
                one.quantity,
                one.filled,
                one.status,
                moment(one.receive_time),
            )
            for instrument_id, own in sorted(liquidations.items())
            for one in own
        ),
    )


def write_instrument_states(connection: Connection, states: Mapping[int, Sequence[InstrumentState]]) -> int:
    """Those that are new; returns how many."""
    return _insert(
        connection,
        _INSTRUMENT_STATE,
        (
            (instrument_id, moment(state.event_time), state.status, moment(state.receive_time))
            for instrument_id, own in sorted(states.items())
            for state in own
        ),
    )


def write_exchange_states(connection: Connection, exchange: str, states: Iterable[ExchangeState]) -> int:
    """Those that are new; returns how many."""
    return _insert(
        connection,
        _EXCHANGE_STATE,
        (
            (
                exchange,
                state.scope,
                moment(state.event_time),
                state.status.value,
                state.reason,
                moment(state.receive_time),
            )
            for state in states
        ),
    )


def write_gaps(connection: Connection, exchange: str, gaps: Iterable[Gap]) -> int:
    """Those that are new; returns how many."""
    return _insert(
        connection,
        _GAP,
        (
            (
                exchange,
                gap.symbol,
                None if gap.channel is None else gap.channel.value,
                gap.reason.value,
                gap.first_sequence,
                gap.last_sequence,
                moment(gap.since),
                optional_moment(gap.until),
                gap.detail,
            )
            for gap in gaps
        ),
    )


def _insert(connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> int:
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)
        return max(cursor.rowcount, 0)

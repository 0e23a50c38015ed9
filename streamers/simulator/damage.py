"""Texts that no healthy exchange sends: cut off, of unknown type, without a field, far too long."""

from __future__ import annotations

import re

from streamers.simulator.hub import Conversation, Frame
from streamers.simulator.listing import DERIBIT

HUGE_BYTES = 10_000_000
DAMAGEABLE = ("trade", "aggregate_trade", "quote", "ticker", "mark", "candle")
"""Channels whose frames lose a field, unless the fault names one."""
FIELDS = (
    "p",
    "q",
    "t",
    "a",
    "T",
    "m",
    "b",
    "B",
    "A",
    "c",
    "price",
    "amount",
    "trade_seq",
    "timestamp",
    "direction",
    "best_bid_price",
    "best_ask_price",
    "last_price",
    "mark_price",
    "tick",
    "close",
)
"""Without one of these a message cannot mean what it says."""
_VALUE = r'("[^"]*"|[-+.0-9eE]+|true|false|null)'


def _field_of(data: str, turn: int) -> str:
    present = [name for name in FIELDS if f'"{name}":' in data]
    return present[turn % len(present)] if present else ""


def with_null(data: str, turn: int) -> str:
    """A payload with null in one of its fields; ``turn`` chooses which."""
    name = _field_of(data, turn)
    return re.sub(rf'"{name}":{_VALUE}', f'"{name}":null', data, count=1) if name else data


def without_field(data: str, turn: int) -> str:
    """A payload that lacks one of its fields."""
    name = _field_of(data, turn)
    if not name:
        return data
    return re.sub(rf'"{name}":{_VALUE},|,"{name}":{_VALUE}', "", data, count=1)


def cut_off(text: str) -> str:
    """No JSON any more."""
    return text[: max(len(text) * 2 // 3, 1)]


def unknown(exchange: str, conversation: Conversation, frame: Frame, turn: int) -> str:
    """Well-formed, and of a type that nobody announced: four shapes in turn."""
    if turn % 4 == 0:
        return '{"novelty":{"version":2}}'
    if turn % 4 == 1:
        return '[{"novelty":1},null,3.5]'
    if exchange == DERIBIT and turn % 4 == 2:
        return '{"jsonrpc":"2.0","method":"novelty","params":{"type":"novelty"}}'
    stream = "novelty.BTC.100ms" if exchange == DERIBIT else "btcusdt@novelty"
    said = Frame(stream if turn % 4 == 3 else frame.stream, '{"e":"novelty","E":1,"s":"BTCUSDT"}')
    return conversation.wrap(said)


def oversized(exchange: str, conversation: Conversation) -> str:
    """Well-formed, of an unknown type, and about ten megabytes long."""
    stream = "novelty.BTC.100ms" if exchange == DERIBIT else "btcusdt@novelty"
    return conversation.wrap(Frame(stream, f'{{"e":"novelty","E":1,"pad":"{"x" * HUGE_BYTES}"}}'))

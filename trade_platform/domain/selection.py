"""What is recorded: patterns per exchange and channel, resolved against the exchange's instruments."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from trade_platform.domain.model import Channel, Instrument, InstrumentKind


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """One channel of one symbol that is to be recorded. Exchange-wide channels have an empty symbol."""

    symbol: str
    channel: Channel


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[record]]`` table of ``config/instruments.toml``."""

    exchange: str
    symbols: tuple[str, ...]
    """Shell patterns over the exchange's own names (``*``, ``?``, ``[…]``), case kept."""
    channels: tuple[Channel, ...]
    except_symbols: tuple[str, ...] = ()
    kinds: tuple[InstrumentKind, ...] = ()
    """Empty: every kind."""


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of ``config/instruments.toml``."""

    record: tuple[Rule, ...] = ()
    quote_interval_ms: int = 1000
    """Keep one quote or ticker per symbol in so many market milliseconds; 0 keeps every one."""


def matches(rule: Rule, instrument: Instrument) -> bool:
    """Whether the rule asks for this instrument."""
    return (
        (not rule.kinds or instrument.kind in rule.kinds)
        and any(fnmatchcase(instrument.symbol, pattern) for pattern in rule.symbols)
        and not any(fnmatchcase(instrument.symbol, pattern) for pattern in rule.except_symbols)
    )


def resolve(
    selection: Selection,
    exchange: str,
    instruments: Iterable[Instrument],
    *,
    deliverable: frozenset[Channel],
) -> list[Wanted]:
    """Every (symbol, channel) that the rules ask of an exchange and that it can deliver, sorted."""
    rules = [rule for rule in selection.record if rule.exchange == exchange]
    wanted = {
        Wanted(instrument.symbol, channel)
        for instrument in instruments
        for rule in rules
        if matches(rule, instrument)
        for channel in rule.channels
        if channel in deliverable
    }
    return sorted(wanted, key=lambda one: (one.symbol, one.channel))

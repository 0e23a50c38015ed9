"""Says what a reading of the selection came to: what it adds, takes away, and asks for in vain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec
import structlog

from trade_platform.domain.model import Instrument
from trade_platform.domain.selection import Selection, Wanted, matches

NAMES = 5

log = structlog.get_logger()


def report_reading(
    selection: Selection,
    exchange: str,
    instruments: Collection[Instrument],
    wanted: Collection[Wanted],
    *,
    before: Collection[Wanted] | None,
) -> None:
    """``before``: what was recorded until now; None at a process's first reading."""
    if before is not None:
        log.info(
            "The selection was read again.",
            exchange=exchange,
            added=named(set(wanted).difference(before)),
            removed=named(set(before).difference(wanted)),
        )
    for pattern in unmatched(selection, exchange, instruments):
        log.warning("A rule of the selection matches no instrument.", exchange=exchange, pattern=pattern)


def named(channels: Collection[Wanted]) -> str:
    """The count and the first few names: ``7: BTCUSDT quote, BTCUSDT trade, … and 2 more``."""
    if not channels:
        return "none"
    names = sorted(f"{one.symbol} {one.channel}" for one in channels)
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"{len(names)}: {', '.join(names[:NAMES])}{more}"


def unmatched(selection: Selection, exchange: str, instruments: Iterable[Instrument]) -> Iterator[str]:
    """Patterns of this exchange's rules that no listed instrument answers to."""
    listed = list(instruments)
    for rule in selection.record:
        if rule.exchange == exchange:
            for pattern in rule.symbols:
                alone = msgspec.structs.replace(rule, symbols=(pattern,))
                if not any(matches(alone, instrument) for instrument in listed):
                    yield pattern

"""Which partition an instrument belongs to: its own, or its family's where there are too many of its kind.

Partitions are multiplied by days. Options and dated futures come and go by the hundred, so that those of
one base share one: ``deribit/BTC-options``; whatever stays has its own: ``binance_spot/BTCUSDT``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trade_platform.domain.model import InstrumentKind

FAMILIES: Final[Mapping[InstrumentKind, str]] = {
    InstrumentKind.OPTION: "options",
    InstrumentKind.FUTURE: "futures",
    InstrumentKind.COMBO: "combos",
}
"""Kind → the word that its families end with."""


def partition_of(exchange: str, symbol: str, kind: InstrumentKind | str, base: str) -> str:
    """The partition's key; ``base``: the base currency as the exchange lists it, empty where it does not.

    Raises ValueError where the kind is none of ours.
    """
    family = FAMILIES.get(InstrumentKind(kind))
    if family is None:
        return f"{exchange}/{symbol}"
    return f"{exchange}/{base or symbol}-{family}"


def exchange_of(partition: str) -> str:
    """The key of the exchange that a partition belongs to."""
    return partition.partition("/")[0]

"""Count of what was tolerated rather than parsed; bounded, because its keys come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from trade_platform.exchanges.binance.known import KNOWN_FIELDS

LARGEST: Final = 200
LONGEST: Final = 64
OTHER: Final = "other"

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Tally(dict[str, int]):
    """Counts by name; beyond ``LARGEST`` names all that is new counts as "other"."""

    def note(self, name: str) -> None:
        name = name[:LONGEST]
        if name not in self and len(self) >= LARGEST - 1:
            name = OTHER
        self[name] = self.get(name, 0) + 1

    def sample(self, kind: str, data: msgspec.Raw) -> None:
        """Count the fields of one event that nobody here has heard of."""
        for field in unknown_fields(kind, _fields.decode(data)):
            self.note(f"{kind}.{field}")


def unknown_fields(kind: str, event: Mapping[str, msgspec.Raw]) -> list[str]:
    """Names in the event, and in the objects inside it, that are not in the list of known ones."""
    known = KNOWN_FIELDS[kind]
    names = []
    for name, value in event.items():
        names.append(name)
        if name in known and bytes(value)[:1] == b"{":
            names += [f"{name}.{inner}" for inner in _fields.decode(value)]
    return [name for name in names if name not in known]

"""Count of what was tolerated rather than parsed; bounded, because its keys come from outside."""

from __future__ import annotations

from typing import Final

LARGEST: Final = 200
LONGEST: Final = 64
OTHER: Final = "other"
SAMPLE: Final = 1000
"""Unknown fields are looked for in the first message of each kind and in every so manieth."""


class Tally(dict[str, int]):
    """Counts by name; beyond ``LARGEST`` names all that is new counts as "other"."""

    def note(self, name: str) -> None:
        name = name[:LONGEST]
        if name not in self and len(self) >= LARGEST - 1:
            name = OTHER
        self[name] = self.get(name, 0) + 1

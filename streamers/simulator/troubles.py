"""What is wrong at an exchange just now, and how often each fault really took effect."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from streamers.simulator.faults import Fault, possible


class Lasting(NamedTuple):
    """A fault in force until a moment in real seconds."""

    fault: Fault
    until: float


class Troubles:
    """Faults that last for a time, and faults that are used up one by one."""

    def __init__(self, exchange: str) -> None:
        self.took_effect: Counter[str] = Counter()
        self._possible = possible(exchange)
        self._lasting: list[Lasting] = []
        self._left: list[tuple[Fault, int]] = []

    @property
    def calm(self) -> bool:
        """Nothing is wrong (or only what ended and was not yet asked for)."""
        return not self._lasting and not self._left

    def begin(self, fault: Fault, now: float) -> None:
        """In force for its seconds."""
        self._lasting.append(Lasting(fault, now + fault.seconds))

    def owe(self, fault: Fault) -> None:
        """To happen as often as it says, whenever there is occasion."""
        self._left.append((fault, fault.count))

    def lasting(self, name: str, now: float) -> list[Fault]:
        """Those of a name that are in force."""
        if not self._lasting:
            return []
        self._lasting = [one for one in self._lasting if one.until > now]
        return [one.fault for one in self._lasting if one.fault.fault == name]

    def latest(self, name: str, now: float) -> Fault | None:
        """The newest one in force."""
        found = self.lasting(name, now)
        return found[-1] if found else None

    def of(self, name: str) -> list[Fault]:
        """Those of a name that were in force when last looked at."""
        return [one.fault for one in self._lasting if one.fault.fault == name]

    def owed(self, *names: str) -> list[Fault]:
        """Those of these names that are not yet used up."""
        return [fault for fault, _ in self._left if fault.fault in names]

    def use(self, fault: Fault) -> None:
        """It happened once more."""
        self._left = [
            (one, left - (one is fault)) for one, left in self._left if one is not fault or left > 1
        ]
        self.count(fault.fault)

    def count(self, name: str, times: int = 1) -> None:
        self.took_effect[name] += times

    def told(self) -> dict[str, int]:
        """Name → how often it took effect, of every fault that can happen here."""
        return {name: self.took_effect[name] for name in self._possible}

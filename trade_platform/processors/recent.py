"""A cache that forgets what was not written for long: two generations, of which the older one goes."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Holds at most ``bound`` entries; ``age`` lets go of those not written since the last but one call."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def get(self, key: K) -> V | None:
        found = self._new.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: K, value: V) -> bool:
        """True where something had to be forgotten for it."""
        full = key not in self._new and len(self._new) >= self.bound // 2
        if full:
            self.age()
        self._old.pop(key, None)
        self._new[key] = value
        return full

    def age(self) -> None:
        """What was written before the last call is forgotten."""
        self._old, self._new = self._new, {}

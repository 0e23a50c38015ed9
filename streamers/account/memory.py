"""What a restart of an account's streamer must know: how far it heard, and what the account ever traded.

It lies in a hash in Redis, beside the stream, and only ever grows: fields are raised, never lowered, so two
processes may write to it at once. It is a help, not the truth: where it was lost, the last day is read again,
and reconciliation knows all symbols from the books.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trade_platform.domain.accounts import AccountRecord, Balance, Fill, Movement, OrderEvent, Position
from trade_platform.exchanges.account import Known

HEARD: Final = "heard"
"""Market time up to which all that was heard is on the bus, and all that was missed was read again."""
SYMBOL: Final = "symbol|"
ASSET: Final = "asset|"
FILL: Final = "fill|"
LARGEST: Final = 2**53 - 1
"""Redis compares as floating point: a longer id is not kept."""
MOST: Final = 5_000
"""Of symbols and of assets; what comes after is known to this process alone."""


class Memory:
    """Of one account."""

    def __init__(self) -> None:
        self.heard = 0
        self.positions: dict[tuple[str, str], Position] = {}
        """By symbol and side, those that were told of and are not closed; not in the hash."""
        self._marks: dict[str, int] = {}
        self._owed: dict[str, int] = {}

    @property
    def known(self) -> Known:
        """What was ever traded and held."""
        names = {prefix: self._names(prefix) for prefix in (SYMBOL, ASSET, FILL)}
        return Known(
            symbols=frozenset(names[SYMBOL]),
            assets=frozenset(names[ASSET]),
            last_fills={name: str(self._marks[FILL + name]) for name in names[FILL]},
        )

    def learn(self, stored: Mapping[str, int]) -> None:
        """What an earlier process left behind."""
        for field, value in stored.items():
            if field == HEARD:
                self.heard = max(self.heard, value)
            else:
                self._marks[field] = max(value, self._marks.get(field, 0))

    def note(self, records: Iterable[AccountRecord]) -> None:
        """These are told of."""
        for record in records:
            match record:
                case Fill():
                    self._raise(SYMBOL + record.symbol, 1)
                    if record.fill_id.isdecimal() and int(record.fill_id) <= LARGEST:
                        self._raise(FILL + record.symbol, int(record.fill_id))
                case OrderEvent():
                    self._raise(SYMBOL + record.symbol, 1)
                case Position():
                    self._raise(SYMBOL + record.symbol, 1)
                    self._hold(record)
                case Balance() | Movement():
                    self._raise(ASSET + record.asset, 1)
                case _:
                    pass

    def hear(self, at: int) -> None:
        """Up to here nothing is missing."""
        if at > self.heard:
            self.heard = at
            self._owed[HEARD] = at

    def owed(self) -> dict[str, int]:
        """What the hash does not say yet; it is owed no longer."""
        owed, self._owed = self._owed, {}
        return owed

    def owe_all(self) -> None:
        """Redis may have forgotten."""
        self._owed = {**self._marks, **({HEARD: self.heard} if self.heard else {})}

    def owe(self, marks: Mapping[str, int]) -> None:
        """These did not go."""
        for field, value in marks.items():
            self._owed[field] = max(value, self._owed.get(field, 0))

    def _raise(self, field: str, value: int) -> None:
        if value > self._marks.get(field, 0) and (field in self._marks or len(self._marks) < 3 * MOST):
            self._marks[field] = self._owed[field] = value

    def _hold(self, position: Position) -> None:
        place = position.symbol, position.position_side
        if position.quantity:
            self.positions[place] = position
        else:
            self.positions.pop(place, None)

    def _names(self, prefix: str) -> list[str]:
        return [field.removeprefix(prefix) for field in self._marks if field.startswith(prefix)]

    def __len__(self) -> int:
        return len(self._marks)

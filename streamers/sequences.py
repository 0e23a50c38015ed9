"""Which trade sequences were handed to the bus: what a restart begins from, and what is held back.

The hash ``sequence:{exchange}`` promises that everything up to its number is on the bus. A hole that
is being re-read holds the promise back, so that a process that dies meanwhile finds it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from streamers.bus_link import GONE
from trade_platform.adapters.holdings import Held
from trade_platform.domain.model import Channel, Trade, TradeFlag
from trade_platform.exchanges.session import Missing

ABSENT_LISTS = 3
MOST_FIELDS = 100_000
"""Several times what any exchange lists; ``retire`` lets go of what has ended."""
MOST_HOLDS = 100_000

_AGGREGATE = int(TradeFlag.AGGREGATE)


def field_of(symbol: str, channel: Channel) -> str:
    """The hash's field."""
    return f"{symbol}|{channel}"


class Sequences:
    """Per ``symbol|channel``: the highest seen, and the promise that the hash may make."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        self._first: dict[str, int] = {}
        """The first that this process delivered."""
        self._expected: set[str] = set()
        """Known to a session, which compares by itself."""
        self._unverified: dict[str, int] = {}
        """Known to no session: the first trade is compared here."""
        self._holds: dict[str, list[int]] = {}
        self._owed: set[str] = set()
        self._begun: dict[str, int] = {}
        """Where ``begin_at`` made us count from, until Redis tells what it knows."""
        self._fields: dict[tuple[str, int], str] = {}
        self._gone: set[str] = set()
        """Given up, and still in the hash."""
        self._absent: dict[str, int] = {}
        """How many lists in a row left out the symbol."""

    def learn(self, stored: Mapping[str, int]) -> list[Missing]:
        """What an earlier process handed over; the answer is what this one began too late for."""
        missing: list[Missing] = []
        for field, last in stored.items():
            if last == GONE:
                self.forget(field)
                continue
            begun = self._begun.pop(field, None)
            self.seen[field] = max(last, self.seen.get(field, last))
            if begun is not None and begun > last:
                symbol, _, channel = field.rpartition("|")
                missing.append(Missing(symbol, Channel(channel), last + 1, begun))
                continue
            if field in self._expected:
                continue
            if field not in self._first:
                self._unverified[field] = self.seen[field]
            elif self._first[field] > last + 1:
                symbol, _, channel = field.rpartition("|")
                missing.append(Missing(symbol, Channel(channel), last + 1, self._first[field] - 1))
        return missing

    def expected(self, symbols: Mapping[str, Channel]) -> dict[str, int]:
        """For ``Session.expect``: the highest seen per symbol, where there is one."""
        expected: dict[str, int] = {}
        for symbol, channel in symbols.items():
            field = field_of(symbol, channel)
            if field in self.seen:
                expected[symbol] = self.seen[field]
                self._expected.add(field)
                self._unverified.pop(field, None)
        return expected

    def note(self, trades: Sequence[Trade]) -> tuple[dict[str, int], list[Missing]]:
        """Trades go to the bus: what the hash shall say with them, and what they show to be missing."""
        last: dict[tuple[str, int], int] = {}
        for trade in trades:
            last[trade.symbol, trade.flags & _AGGREGATE] = trade.sequence
        promises: dict[str, int] = {}
        missing: list[Missing] = []
        for key, sequence in last.items():
            field = self._fields.get(key) or self._name(key)
            holes = [] if field in self._first else self._begin(field, key, trades)
            if sequence > self.seen.get(field, -1):
                self.seen[field] = sequence
            promises[field] = self._promise(field)
            for hole in holes:
                missing.append(hole)
                promises[field] = min(promises[field], hole.first - 1)  # not held yet
        return promises, missing

    @property
    def owing(self) -> bool:
        return bool(self._owed or self._gone)

    def owed(self) -> dict[str, int]:
        """Promises that no trade carries: holes that were filled, beginnings."""
        promises = {field: self._promise(field) for field in self._owed if field in self.seen}
        promises |= dict.fromkeys(self._gone - self.seen.keys(), GONE)
        self._owed.clear()
        self._gone.clear()
        return promises

    def owe(self, promises: Mapping[str, int]) -> None:
        """These could not be sent: with the next."""
        gone = {field for field, last in promises.items() if last == GONE}
        self._gone |= gone
        self._owed.update(promises.keys() - gone)

    def begin_at(self, symbol: str, channel: Channel, newest: int) -> Missing | None:
        """Count from here. Where a trade was faster: what lies between, if anything does."""
        field = field_of(symbol, channel)
        if field not in self.seen:
            self.seen[field] = self._unverified[field] = self._begun[field] = newest
            self._owed.add(field)
        elif self._first.get(field, 0) > newest + 1:
            self._owed.add(field)  # lowered while the hole is open
            return Missing(symbol, channel, newest + 1, self._first[field] - 1)
        return None

    def pass_over(self, field: str, newest: int) -> None:
        """All up to here is asked for: a later trade does not show it to be missing again."""
        self.seen[field] = newest
        if field in self._unverified:
            self._unverified[field] = newest

    def forget(self, field: str) -> None:
        """No longer recorded: what passes meanwhile is not missing, should it be selected again."""
        self.seen.pop(field, None)
        self._first.pop(field, None)
        self._unverified.pop(field, None)
        self._begun.pop(field, None)
        self._expected.discard(field)
        self._owed.discard(field)
        self._absent.pop(field, None)
        for aggregate in (0, _AGGREGATE):
            self._fields.pop((field.rpartition("|")[0], aggregate), None)
        self._gone.add(field)

    def retire(self, listed: AbstractSet[str]) -> None:
        """The exchange lists these symbols; what several lists in a row left out has ended for good."""
        absent = {field for field in self.seen if field.rpartition("|")[0] not in listed}
        self._absent = {field: self._absent.get(field, 0) + 1 for field in absent - self._holds.keys()}
        for field in [field for field, times in self._absent.items() if times >= ABSENT_LISTS]:
            self.forget(field)

    def holdings(self) -> Iterator[Held]:
        """By symbol: bounded by what the exchange lists."""
        yield Held("sequence_fields", len(self.seen), MOST_FIELDS)
        yield Held("sequence_holds", self.holding, MOST_HOLDS)

    def narrow(self, missing: Missing) -> Missing | None:
        """Without what another connection delivered, or asked for, in the meantime."""
        seen = self.seen.get(field_of(missing.symbol, missing.channel), -1)
        first = max(missing.first, seen + 1)
        if first > missing.last:
            return None
        return Missing(missing.symbol, missing.channel, first, missing.last)

    @property
    def holding(self) -> int:
        """Holes that are being re-read."""
        return sum(map(len, self._holds.values()))

    def hold(self, missing: Missing) -> None:
        """The hole is being re-read: promise nothing from its first number on."""
        field = field_of(missing.symbol, missing.channel)
        self._holds.setdefault(field, []).append(missing.first)
        self._owed.add(field)

    def release(self, missing: Missing) -> None:
        """The hole is filled, or left to the ledger of gaps."""
        field = field_of(missing.symbol, missing.channel)
        holds = self._holds[field]
        holds.remove(missing.first)
        if not holds:
            del self._holds[field]
        self._owed.add(field)

    def _promise(self, field: str) -> int:
        seen = self.seen[field]
        holds = self._holds.get(field)
        return min(seen, min(holds) - 1) if holds else seen

    def _begin(self, field: str, key: tuple[str, int], trades: Iterable[Trade]) -> list[Missing]:
        first = min(trade.sequence for trade in trades if (trade.symbol, trade.flags & _AGGREGATE) == key)
        self._first[field] = first
        last = self._unverified.pop(field, None)
        if last is None or first <= last + 1:
            return []
        channel = Channel.AGGREGATE_TRADE if key[1] else Channel.TRADE
        return [Missing(key[0], channel, last + 1, first - 1)]

    def _name(self, key: tuple[str, int]) -> str:
        symbol, aggregate = key
        return self._fields.setdefault(
            key, field_of(symbol, Channel.AGGREGATE_TRADE if aggregate else Channel.TRADE)
        )

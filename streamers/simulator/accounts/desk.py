"""All accounts of one simulated exchange: their books, their traders, and the half that speaks for them.

The desk lives on the market's own agenda, so that everything depends on market time and seeds alone. What
happened is written to the journals first, and told afterwards.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import structlog

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.accounts.book import Book, House
from streamers.simulator.accounts.book_shapes import BookEvent
from streamers.simulator.accounts.journal import Journal, Opening
from streamers.simulator.accounts.trader import Trader
from streamers.simulator.faults import Fault
from streamers.simulator.floor import Floor
from streamers.simulator.hub import Conversation
from streamers.simulator.interference import Heard
from streamers.simulator.listing import SECOND
from streamers.simulator.rest import Answer, Carried

log = structlog.get_logger()


class Account:
    """One account: its key, its book, its trader, and what is wrong with it."""

    def __init__(self, spec: AccountSpec, book: Book, trader: Trader, journal: Journal) -> None:
        self.spec = spec
        self.book = book
        self.trader = trader
        self.journal = journal
        self.revoked = False
        """Its key is not taken any more."""

    @property
    def name(self) -> str:
        return self.spec.name


class Half(Protocol):
    """How one exchange speaks of accounts."""

    @property
    def house(self) -> House: ...

    def start(self, desk: Desk) -> None:
        """The desk is complete: plan what happens by itself (``desk.floor.agenda``)."""

    def converse(self, url: str, scale: float) -> Conversation | None:
        """A connection for private use alone; None where a URL is none."""

    def told(self, account: Account, event: BookEvent) -> None:
        """Something happened: say it (``desk.say``)."""

    def second(self, account: Account, time: int) -> None:
        """Once a second of market time."""

    def answer(self, asked: Carried, params: dict[str, Any], now: float) -> Answer | None:
        """A private request over HTTP; None where it is none."""

    def strike(self, account: Account, fault: Fault, now: float) -> Iterable[Heard]:
        """What only this exchange does about a fault of an account."""


class Desk:
    """Every account of an exchange."""

    def __init__(self, floor: Floor, half: Half, specs: Iterable[AccountSpec], folder: Path | None) -> None:
        self.floor = floor
        self.half = half
        self.clock: Callable[[], int] = lambda: floor.shown // 1000
        """The exchange's time in milliseconds UTC; it goes on where the market stands still."""
        self.accounts: dict[str, Account] = {}
        self.owed: list[tuple[Fault, int]] = []
        """Faults that are used up one by one, and how often yet."""
        self.effects: Counter[str] = Counter()
        self.lasting: list[tuple[Fault, float]] = []
        """Faults in force, and until when in real seconds."""
        self._held: dict[str, tuple[str, str]] = {}
        self._past: dict[str, Book] = {}
        self._failing = False
        self._rested = -math.inf
        for spec in specs:
            self._open(spec, None if folder is None else folder / f"{floor.exchange}.{spec.name}.jsonl")
        half.start(self)
        floor.witnesses.append(self._witness)
        floor.agenda.at((floor.now // SECOND + 1) * SECOND, self._second)

    # --- what is asked ----------------------------------------------------------------------------------

    def by_key(self, key_id: str) -> Account | None:
        """Whose key this is; None of nobody, or of one whose key was revoked."""
        found = (one for one in self.accounts.values() if one.spec.key_id == key_id)
        return next((one for one in found if not one.revoked), None)

    def shown(self, account: Account) -> Book:
        """The book that REST tells of: while it is behind, as it was then."""
        return self._past.get(account.name, account.book)

    def is_lasting(self, fault: str, account: str, now: float) -> bool:
        """Whether a fault is in force for an account; it counts as an effect."""
        if not self.lasting:
            return False
        self.lasting = [(one, until) for one, until in self.lasting if now < until]
        lasts = any(one.fault == fault and one.account in ("", account) for one, _ in self.lasting)
        self.effects[fault] += lasts
        return lasts

    def owes(self, fault: str, account: str, said: str = "") -> bool:
        """Whether this shall happen now; then it has. ``said``: of a stream, its name and its text."""
        for place, (one, left) in enumerate(self.owed):
            if one.fault == fault and one.account in ("", account) and _is_meant(one, said):
                self.owed[place : place + 1] = [(one, left - 1)] if left > 1 else []
                self.effects[fault] += 1
                return True
        return False

    # --- what is done -----------------------------------------------------------------------------------

    def say(self, account: str, stream: str, text: str) -> None:
        """Say something private on a stream of the hub, unless a fault is at work."""
        hub = self.floor.hub
        if not hub.wanted(stream):
            return
        said = f"{stream} {text}" if self.owed else ""
        if self.owes("private_missed", account, said):
            return
        held = self._held.pop(account, None)
        if held is None and self.owes("private_reorder", account, said):
            self._held[account] = stream, text
            return
        hub.say(stream, text)
        if self.owes("private_duplicate", account, said):
            hub.say(stream, text)
        if held is not None:
            hub.say(*held)

    def settle(self) -> None:
        """Keep what happened, then tell it; what cannot be kept is told later."""
        for account in self.accounts.values():
            if self._kept(account):
                for event in account.book.take():
                    self.half.told(account, event)

    def rest(self, now: float) -> None:
        """The market stands still: once a second (a real one) it is still told how things stand."""
        if now >= self._rested + 1.0:
            self._rested = now
            for account in self.accounts.values():
                self.half.second(account, self.floor.shown)

    def remember_past(self, account: Account) -> None:
        """From here on REST tells how things stand now."""
        past = copy.copy(account.book)
        past.orders, past.positions = dict(past.orders), dict(past.positions)
        past.balances, past.fills = dict(past.balances), list(past.fills)
        past.movements, past.waits = list(past.movements), dict(past.waits)
        self._past[account.name] = past

    def forget_past(self, account: Account) -> None:
        """REST is up to date again."""
        self._past.pop(account.name, None)

    def told(self) -> dict[str, int]:
        """Fault → how often it took effect."""
        return dict(self.effects)

    # --- how --------------------------------------------------------------------------------------------

    def _open(self, spec: AccountSpec, path: Path | None) -> None:
        journal = Journal(path)
        lines = list(journal.read())
        opening = spec.balances
        first = lines[0] if lines else None
        if isinstance(first, Opening):
            opening = first.balances
        else:
            journal.write([Opening(opening, self.floor.now)])
        book = Book(spec.name, opening, self.half.house, lambda symbol: self.floor.pits[symbol].listing)
        for line in lines:
            if not isinstance(line, Opening):
                book.apply(line)
        self.accounts[spec.name] = Account(spec, book, Trader(spec, book, self.floor), journal)

    def _kept(self, account: Account) -> bool:
        events = account.book.unwritten
        if not events:
            return True
        try:
            account.journal.write(events)
        except OSError as error:
            if not self._failing:
                log.error(  # noqa: TRY400 (a sentence, not a traceback)
                    "the journal of an account cannot be written: nothing private is said until it can",
                    path=str(account.journal.path),
                    error=error.strerror,
                )
            self._failing = True
            return False
        events.clear()
        self._failing = False
        return True

    def _witness(self, symbol: str, channel: str, one: Any) -> None:
        if channel == "trade":
            for account in self.accounts.values():
                account.trader.witness(symbol, one)

    def _second(self, time: int) -> None:
        shown = self.floor.stamps.peek(time)
        for account in self.accounts.values():
            held = self._held.pop(account.name, None)
            if held is not None:
                self.floor.hub.say(*held)
            self.half.second(account, shown)
        self.floor.agenda.at(time + SECOND, self._second)


def _is_meant(fault: Fault, said: str) -> bool:
    """Whether a fault means this text: by a word of its stream or a key of it, and by an instrument."""
    if not said:
        return True
    return fault.channel in said and (not fault.symbol or f'"{fault.symbol}"' in said)

"""What is chosen to be recorded: the selection file, what it comes to on an exchange, what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import structlog

from streamers.selection_report import report_reading
from trade_platform.adapters.selection_file import SelectionFile, UnusableSelection
from trade_platform.domain.model import Instrument
from trade_platform.domain.selection import Selection, Wanted, resolve
from trade_platform.exchanges.session import Exchange

log = structlog.get_logger()


class Choice:
    """Of one exchange; what cannot be used is told, and what held before it stays."""

    def __init__(self, exchange: Exchange, file: SelectionFile) -> None:
        self.file = file
        self.selection: Selection | None = None
        self._exchange = exchange
        self._wanted: frozenset[Wanted] = frozenset()
        self._report_due: Literal["", "first", "again"] = ""

    @property
    def changed(self) -> bool:
        """It is to be read: for the first time, or again."""
        return self.file.changed() or self.selection is None

    @property
    def quote_interval(self) -> int:
        """Microseconds between two quotes of a symbol that are kept; 0 keeps all."""
        return self.selection.quote_interval_ms * 1000 if self.selection is not None else 0

    def read(self) -> None:
        """Read the file, or say why it cannot be used."""
        before = self.selection
        try:
            self.selection = self.file.read()
        except UnusableSelection as error:
            kept = (
                "The selection before it stays." if before else "Nothing is recorded until it is corrected."
            )
            log.warning("The selection cannot be used.", error=str(error), then=kept)
            self.selection = before or Selection()
            return
        self._report_due = "first" if before is None else "again"

    def wanted(self, instruments: Sequence[Instrument]) -> list[Wanted]:
        """What it comes to, with what the exchange tells as a whole; empty where nothing is selected."""
        assert self.selection is not None
        wanted = resolve(self.selection, self._exchange.key, instruments, deliverable=self._exchange.channels)
        self._report(wanted, instruments)
        if wanted:
            return wanted + [Wanted("", channel) for channel in sorted(self._exchange.exchange_channels)]
        log.warning("Nothing is selected.", exchange=self._exchange.key, file=str(self.file.path))
        return []

    def _report(self, wanted: Sequence[Wanted], instruments: Sequence[Instrument]) -> None:
        assert self.selection is not None
        before, self._wanted = self._wanted, frozenset(wanted)
        if self._report_due:
            again = before if self._report_due == "again" else None
            report_reading(self.selection, self._exchange.key, instruments, self._wanted, before=again)
        self._report_due = ""

"""What the answering halves need to know of a market, be it simulated or replayed."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from streamers.simulator.tape import Row, Tape


class Quote(NamedTuple):
    """Best bid and ask, as text of the wire."""

    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str
    update: int
    time: int
    """Milliseconds UTC."""


class Source(Protocol):
    """A market that can be asked."""

    exchange: str
    tape: Tape

    @property
    def now(self) -> int:
        """Market time up to which it ran, microseconds UTC."""

    @property
    def shown(self) -> int:
        """The same as the exchange's own clock shows it."""

    @property
    def finished(self) -> bool:
        """Nothing more will come."""

    def run(self, now: int) -> None:
        """Let everything happen that is due by market time ``now``."""

    def memory(self) -> dict[str, Any]:
        """What a restart needs beside the ledger."""

    def instruments(self) -> dict[str, dict[str, Any]]:
        """Symbol → the exchange's own object for it."""

    def rows(self, symbol: str) -> list[Row]:
        """One-minute candles, ascending, the running one last."""

    def past(self, symbol: str, since: int, until: int, most: int, *, newest: bool) -> list[Row]:
        """One-minute candles from before the market's start that open between both (milliseconds UTC).

        At most so many: the newest of them, or the oldest.
        """

    def quote(self, symbol: str) -> Quote | None: ...

    def tell(self, name: str, what: str) -> Any:
        """``depth``, ``mark``, ``open_interest``, ``ticker`` or ``index``; None where unknown."""

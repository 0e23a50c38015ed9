"""What one processor is to do: made by the composition root from settings."""

from __future__ import annotations

import msgspec

from trade_platform.adapters.bus import ACCOUNT, STATE_STREAM, account_of
from trade_platform.domain.defences import Defence


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is to do."""

    stream: str
    database_url: str
    redis_url: str
    process_name: str
    window_seconds: float = 900.0
    """Stored entries stay in the stream for so long."""
    lateness: int = 2_500_000
    """Market microseconds after a minute's end until its row is written unproven."""

    without: frozenset[Defence] = frozenset()
    """Defences that a rehearsal leaves out."""

    @property
    def synchronous_commit(self) -> str:
        """``off`` for market data, ``on`` for events.

        A crash of PostgreSQL may then take the last half second of transactions. It takes their rows and
        the stream's position together, and the entries are still in the stream, which is trimmed only
        after its window: they are read again. Events are few and say what was lost, or are of somebody's
        money, so theirs wait for the disk.
        """
        return "on" if self.stream == STATE_STREAM or self.account else "off"

    @property
    def account(self) -> str:
        """Whose stream it is; empty where it is a market's, or ``state``."""
        return account_of(self.stream)[1] if self.stream.startswith(ACCOUNT) else ""

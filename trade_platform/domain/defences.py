"""What stands between a fault and a loss, by name.

``make faults`` runs each fault once more with its defence switched off (the setting ``WITHOUT``) and
demands that the platform then loses something or stalls: a defence whose absence changes nothing
defends against nothing. No other use of it is meant.
"""

from __future__ import annotations

from enum import StrEnum


class Defence(StrEnum):
    """One thing that can be left out, for a rehearsal."""

    TRANSPORT_LIVENESS = "transport_liveness"
    """Pings of ours and the deadline of their answers."""
    SESSION_LIVENESS = "session_liveness"
    """The deadline of any frame at all."""
    CHANNEL_LIVENESS = "channel_liveness"
    """The deadline of a channel's data."""
    BACKOFF = "backoff"
    """Growing pauses between connections."""
    BUDGETS = "budgets"
    """The published limits, and the quiet that an exchange asks for."""
    CATCH_UP = "catch_up"
    """Reading again by REST what a connection jumped over."""
    ROTATION = "rotation"
    """A successor before the end that was announced."""
    TOLERANCE = "tolerance"
    """Going on after a message that cannot be read."""
    PROBE = "probe"
    """Asking whether an exchange is open again."""
    SPOOL = "spool"
    """The disk, while Redis is away."""
    RESEND = "resend"
    """Saying again what Redis forgot."""
    REPEATS = "repeats"
    """Ignoring a parcel that comes again."""
    COVERAGE = "coverage"
    """Ignoring a trade that is held."""
    ISOLATION = "isolation"
    """Setting aside the one record that cannot be stored."""
    RECONNECTION = "reconnection"
    """Coming back to a server of ours that went away."""
    RESTART = "restart"
    """Starting a process again that died."""
    REPAIR = "repair"
    """The ledger of gaps, worked off."""

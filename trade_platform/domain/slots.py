"""Two slots a lane: names of the process that works and of the one that is to replace it.

Without an upgrade a lane's process bears the lane's own name, which is the first slot.
"""

from __future__ import annotations

from typing import Final

SECOND: Final = "-b"


def lane_of(process: str) -> str:
    """The lane that a process works for."""
    return process.removesuffix(SECOND)


def other_slot(process: str) -> str:
    """The process name of the same lane's other slot."""
    lane = lane_of(process)
    return f"{lane}{SECOND}" if process == lane else lane

"""What keeps a process's memory to itself: no core dump, no look into it by other programs of its user."""

from __future__ import annotations

import ctypes
import resource
from typing import Final

PR_SET_DUMPABLE: Final = 4


def keep_memory_private() -> None:
    """No core dumps; /proc/PID/mem, environ and ptrace are root's alone (Linux; elsewhere only no dumps)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except AttributeError:
        return
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)

"""Faults of single connections: how they end, how they begin, and that they hang."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from functools import partial
from typing import Final

from benchmarks.loopback import Reading
from benchmarks.matrix.case import (
    HALF_OPEN_REACH,
    MOST_CONNECTIONS,
    RESUME_REACH,
    SPOT,
    Bound,
    Case,
    both,
    signalled,
    told,
)
from benchmarks.platform import Platform
from benchmarks.signs import (
    connections,
    ended_as,
    endings,
    gap_rows,
    heard,
    simulated,
    stopped,
    vanished,
)
from trade_platform.domain.defences import Defence

READ_AGAIN: Final = (Defence.CATCH_UP, Defence.REPAIR)
"""What is not read again at once is read again by the repair: neither shows its worth beside the other."""
NOTICED: Final = (Defence.TRANSPORT_LIVENESS, Defence.SESSION_LIVENESS, Defence.CHANNEL_LIVENESS)
"""A dead connection delivers nothing either, so that each of the three would find it."""
CODES: Final = (1000, 1001, 1006, 1008)
case: Final = partial(Case, sign=endings, resume_reach=RESUME_REACH, defences=READ_AGAIN)


def cases() -> list[Case]:
    """In the order in which they are run."""
    return [*endings_of_connections(), *beginnings(), *hangs()]


def endings_of_connections() -> list[Case]:
    closes = [
        case(
            name=f"close_{code}", kind="close", inflict=told("close", code=code),
            proof=heard(f"close code {code}"),
        )
        for code in CODES
    ]  # fmt: skip
    return [
        *closes,
        case(name="abort", kind="close", inflict=told("abort"), proof=simulated("abort")),
        case(
            name="server_shutdown", kind="close", targets=SPOT, defences=(Defence.ROTATION,),
            inflict=told("server_shutdown", grace_seconds=4), hold=4.5, proof=simulated("server_shutdown"),
            sign=ended_as("rotation"), expects_none=True, harm=gap_rows,
        ),
        Case(
            name="rotation", kind="close", stage="aged", defences=(Defence.ROTATION,), combines=False,
            covers=("24 h rotation",), inflict=lambda _platform, _targets: None, hold=25.0, proof=time_passes,
            sign=ended_as("rotation"), detect_reach=25.0, expects_none=True, harm=gap_rows,
            patience_without=5.0,
        ),
    ]  # fmt: skip


def beginnings() -> list[Case]:
    return [
        case(
            name="accept_close", kind="handshake", defences=(Defence.BACKOFF,), combines=False,
            inflict=told("accept_close", "abort", seconds=60), hold=60.0, proof=simulated("accept_close"),
            bound=Bound(connections, MOST_CONNECTIONS, "connections in the first minute"),
            resume_reach=None, patience=75.0, patience_without=2.0,
        ),
        case(
            name="refuse", kind="handshake", inflict=told("refuse", "abort", seconds=8), hold=8.0,
            proof=simulated("refuse"),
        ),
        case(
            name="tls_error", kind="handshake", inflict=told("tls_error", "abort", seconds=8), hold=8.0,
            proof=simulated("tls_error"),
        ),
        case(
            name="slow_server", kind="handshake", covers=("slow server",),
            inflict=both(told("slow", seconds=8, delay=0.5), told("abort")), hold=8.0,
            proof=simulated("slow"),
        ),
    ]  # fmt: skip


def hangs() -> list[Case]:
    return [
        case(
            name="half_open", kind="hang", defences=NOTICED, combines=False, covers=("half-open TCP",),
            inflict=cut, heal=mend, hold=24.0, proof=vanished,
            sign=ended_as("transport_silent", "session_silent", "channel_silent"),
            detect_reach=HALF_OPEN_REACH,
        ),
        case(
            name="slow_reader", kind="hang", covers=("slow reader on our side",),
            inflict=both(signalled("streamer-{}", signal.SIGSTOP), told("abort")),
            heal=signalled("streamer-{}", signal.SIGCONT), hold=8.0, proof=stopped("streamer-{}"),
        ),
    ]  # fmt: skip


def cut(platform: Platform, targets: Sequence[str]) -> None:
    """Have the network swallow it; where that is not permitted, the exchange stands still."""
    if platform.seclusion.network:
        for target in targets:
            platform.seclusion.cut(platform.port_of(target))
    else:
        os.kill(platform.pid_of("simulator"), signal.SIGSTOP)


def mend(platform: Platform, targets: Sequence[str]) -> None:
    if platform.seclusion.network:
        for target in targets:
            platform.seclusion.mend(platform.port_of(target))
    else:
        os.kill(platform.pid_of("simulator"), signal.SIGCONT)


def time_passes(platform: Platform, exchange: str) -> Reading:
    return {"simulator: its clock went on": float(platform.mark(exchange).market)}

"""Faults of delivery: everything looks well, and nothing comes, or not all of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from benchmarks.matrix.case import DERIBIT, RESUME_REACH, SILENT_REACH, USDM, Case, both, told
from benchmarks.platform import Platform
from benchmarks.signs import ended_as, simulated
from trade_platform.domain.defences import Defence

CHANNEL: Final = (Defence.CHANNEL_LIVENESS,)
FOUND: Final = ended_as("channel_silent", "never_delivered", "subscribe_refused")
HOLD: Final = 20.0
FEW: Final = 3.0
"""Seconds in which a connection is made that stays bad for good; the next one is well again."""
FOUND_AND_RESUMED: Final = SILENT_REACH + RESUME_REACH
"""From the end of those: what is bad must be found first."""
TRADES: Final = {"binance_usdm": "aggregate_trade"}
"""By what name prints are recorded, where it is not ``trade``."""
case: Final = partial(
    Case,
    kind="silence",
    hold=HOLD,
    sign=FOUND,
    detect_reach=SILENT_REACH,
    resume_reach=RESUME_REACH,
    defences=CHANNEL,
)


def cases() -> list[Case]:
    """In the order in which they are run."""
    return [
        case(
            name="deaf", covers=("silent after connect",), inflict=told("deaf", "abort", seconds=FEW),
            proof=simulated("deaf"), hold=FEW, resume_reach=FOUND_AND_RESUMED,
        ),
        case(
            name="mute_new", covers=("silent after subscribe-ack",),
            inflict=told("mute_new", "abort", seconds=FEW), proof=simulated("mute_new"), hold=FEW,
            resume_reach=FOUND_AND_RESUMED,
        ),
        case(
            name="silence", covers=("pings but no data",), inflict=told("silence", seconds=HOLD),
            proof=simulated("silence"),
        ),
        case(
            name="silent_channel", covers=("one channel of many silent",), inflict=silent_channel,
            proof=simulated("silence"),
        ),
        case(
            name="wrong_route", covers=("wrong route acked",), targets=USDM,
            inflict=told("wrong_route", "abort", seconds=FEW), proof=simulated("wrong_route"), hold=FEW,
            resume_reach=FOUND_AND_RESUMED,
        ),
        case(
            name="short_ack", covers=("subscribe result short",), targets=DERIBIT, hold=1.0,
            inflict=told("short_ack", "abort", count=1), proof=simulated("short_ack"), detect_reach=None,
            sign=None, harmless="who compares the answer with the request asks again; that is no option",
            defences=(),
        ),
        case(
            name="heartbeat_stop", targets=DERIBIT, inflict=told("heartbeat_stop", seconds=HOLD),
            proof=simulated("heartbeat_stop"), sign=None, detect_reach=None,
            harmless="while data come, a heartbeat's absence does no harm; without both see dead_silence",
            defences=(),
        ),
        case(
            name="dead_silence", targets=DERIBIT, covers=("heartbeat stop",),
            inflict=both(told("heartbeat_stop", seconds=HOLD), told("silence", seconds=HOLD, pings=False)),
            proof=simulated("silence"), sign=ended_as("session_silent", "channel_silent"),
            defences=(Defence.SESSION_LIVENESS, Defence.CHANNEL_LIVENESS),
        ),
    ]  # fmt: skip


def silent_channel(platform: Platform, targets: Sequence[str]) -> None:
    """Trades alone, of all that comes on the same connection."""
    for exchange in targets:
        channel = TRADES.get(exchange, "trade")
        platform.inflict(exchange, "silence", seconds=HOLD, channel=channel)

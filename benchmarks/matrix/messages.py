"""Faults of single messages, and of the market that they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from redis import Redis

from benchmarks.loopback import Reading
from benchmarks.matrix.case import DERIBIT, RESUME_REACH, USDM, Bound, Case, both, told
from benchmarks.matrix.connections import READ_AGAIN
from benchmarks.matrix.silences import TRADES
from benchmarks.platform import Platform
from benchmarks.signs import (
    dead_letters,
    either,
    endings,
    gap_rows,
    held_already,
    read_again,
    simulated,
    state_rows,
    tolerated,
)
from trade_platform.adapters.bus import market_stream
from trade_platform.domain.defences import Defence

TOLERANCE: Final = (Defence.TOLERANCE,)
case: Final = partial(Case, kind="message", resume_reach=RESUME_REACH, hold=1.0)
FEW: Final = 4
"""Of the twenty unreadable messages in a minute after which a connection is opened anew: rows share it."""
ECHO: Final = "echo:1"
ECHOED: Final = 200
NOTHING_TO_DEFEND: Final = "it is read as it comes: there is nothing to switch off"


def cases() -> list[Case]:
    """In the order in which they are run."""
    return [*frames(), *trades(), *market()]


def frames() -> list[Case]:
    damaged = [
        case(
            name=name, inflict=told(name, count=FEW), proof=simulated(name), sign=either(tolerated, gap_rows),
            defences=TOLERANCE, harm=endings, hold=2.0, bound=Bound(endings, 0, "connections ended"),
        )
        for name in ("malformed", "null_fields", "missing_fields")
    ]  # fmt: skip
    return [
        case(
            name="split", covers=("frame split",), inflict=told("split", count=50), proof=simulated("split"),
            harmless="the WebSocket library joins frames",
        ),
        case(
            name="huge", covers=("10 MB frame",), inflict=told("huge", count=2), proof=simulated("huge"),
            harmless="a frame of 10 MB is below the limit of what is read", patience=60.0,
        ),
        case(
            name="unknown_type", covers=("unknown message types",), proof=simulated("unknown_type"),
            inflict=told("unknown_type", count=2 * FEW), sign=tolerated,
            harmless="what is not known is not ours: it is counted and left",
        ),
        *damaged,
        case(
            name="damaged_trades", covers=("null and missing fields",), hold=2.0,
            inflict=damage_trades,
            proof=simulated("missing_fields"), sign=gap_rows, expects_gap=True, defences=READ_AGAIN,
            combines=False,
        ),
    ]  # fmt: skip


def damage_trades(platform: Platform, targets: Sequence[str]) -> None:
    """In place of the true ones, so that they are missing."""
    for exchange in targets:
        channel = TRADES.get(exchange, "trade")
        for fault in ("null_fields", "missing_fields"):
            platform.inflict(exchange, fault, count=FEW, instead=True, channel=channel)


def trades() -> list[Case]:
    return [
        case(
            name="skip", covers=("sequence jump",), inflict=told("skip", count=50), proof=simulated("skip"),
            sign=read_again, expects_gap=True, defences=READ_AGAIN,
        ),
        case(
            name="duplicate", covers=("duplicates",), inflict=told("duplicate", count=50),
            proof=simulated("duplicate"), sign=held_already,
            harmless="in one batch a number counts once; in another see said_again",
        ),
        case(
            name="said_again", inflict=say_again, proof=echoes, sign=held_already, hold=0.1,
            defences=(Defence.COVERAGE,), harm=dead_letters,
        ),
        case(
            name="reorder", covers=("reordering",), inflict=told("reorder", count=20),
            proof=simulated("reorder"),
            harmless="coverage takes numbers in any order, and a hole is read again",
        ),
        case(
            name="skip_while_closed", kind="repair", hold=25.0, expects_gap=True, sign=gap_rows,
            inflict=both(
                told("rest_refuse", status=503, seconds=25), told("skip", count=30)
            ),
            proof=simulated("skip"), patience=120.0, defences=(Defence.REPAIR, Defence.CATCH_UP),
            combines=False,
        ),
        case(
            name="horizon", covers=("the exchange's horizon",), stage="horizon", targets=USDM, hold=10.0,
            inflict=both(
                told("horizon", seconds=1), told("rest_refuse", status=503, seconds=10),
                told("skip", count=30),
            ),
            proof=simulated("skip"), sign=gap_rows, expects_gap=True, beyond=True, combines=False,
            patience=75.0, harmless="nobody serves it: no defence could save it",
        ),
    ]  # fmt: skip


def say_again(platform: Platform, targets: Sequence[str]) -> None:
    """What is in Redis comes once more from another process, as when two deliver at once."""
    with Redis.from_url(platform.redis.url) as redis:
        for exchange in targets:
            stream = market_stream(exchange)
            newest = redis.xrevrange(stream, count=ECHOED)
            for n, (_, fields) in enumerate(reversed(newest), 1):
                redis.xadd(stream, {**fields, b"producer": ECHO.encode(), b"n": n})


def echoes(platform: Platform, exchange: str) -> Reading:
    query = "select count(*) from producer_position where producer = %s and stream = %s"
    known = platform.tables.count(query, ECHO, market_stream(exchange))
    return {"a second producer was read": known}


def market() -> list[Case]:
    clocks = [
        case(
            name=f"clock_{word}", kind="market", covers=("clock 30 s off both ways",), hold=8.0,
            inflict=told("clock_off", offset_seconds=seconds, seconds=8), proof=simulated("clock_off"),
            harmless="deadlines go by our own clock: theirs decides nothing",
        )
        for word, seconds in (("ahead", 30), ("behind", -30))
    ]  # fmt: skip
    return [
        *clocks,
        case(
            name="settlement", kind="market", targets=DERIBIT, covers=("settlement burst",), hold=12.0,
            inflict=told("settlement", seconds=8), proof=simulated("settlement"), patience=60.0,
            harmless="buffers take the burst, and a refused request is made again", combines=False,
        ),
        case(
            name="burst", kind="market", inflict=told("burst", count=2_000), proof=simulated("burst"),
            hold=2.0, harmless="buffers take it", patience=60.0,
        ),
        case(
            name="listing", kind="market", covers=("instrument listing while running",), combines=False,
            inflict=told("listing", count=1), proof=simulated("listing"), harmless=NOTHING_TO_DEFEND,
        ),
        case(
            name="expiry", kind="market", covers=("instrument expiring while running",), combines=False,
            inflict=told("expiry", count=1), proof=simulated("expiry"), harmless=NOTHING_TO_DEFEND,
        ),
        case(
            name="partial_lock", kind="market", targets=DERIBIT, hold=8.0, sign=state_rows,
            inflict=told("partial_lock", seconds=8), proof=simulated("partial_lock"),
            harmless="a lock is a state that is told, and stops nothing of ours",
        ),
        case(
            name="locked", kind="market", targets=DERIBIT, hold=8.0, sign=state_rows,
            inflict=told("locked", seconds=8), proof=simulated("locked"),
            harmless="a lock is a state that is told, and stops nothing of ours",
        ),
    ]  # fmt: skip

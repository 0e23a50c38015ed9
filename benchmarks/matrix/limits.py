"""What exchanges refuse: requests beyond their limits, and everything in maintenance."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from benchmarks.matrix.case import DERIBIT, RESUME_REACH, SPOT, USDM, Bound, Case, both, told
from benchmarks.matrix.connections import READ_AGAIN
from benchmarks.signs import endings, limits_broken, read_again, simulated, state_exits
from trade_platform.domain.defences import Defence

BUDGETS: Final = (Defence.BUDGETS,)
PROBE: Final = (Defence.PROBE,)
ACCEPTING_SECONDS: Final = 30
"""By then the pauses between connections are longer than a recovery may take: it must be asked for."""
QUIET_SECONDS: Final = 6
MOST_REFUSED: Final = 3
"""Requests under way when the first of them is refused."""
case: Final = partial(Case, kind="limit", resume_reach=RESUME_REACH)


def cases() -> list[Case]:
    """In the order in which they are run."""
    return [*refusals(), *maintenances()]


def refusals() -> list[Case]:
    def quiet(status: int) -> Case:
        """Told to be quiet for so long, and holes to be read again meanwhile."""
        return case(
            name=f"rest_{status}", covers=("429 with Retry-After" if status == 429 else "418",),
            targets=(*SPOT, *USDM), hold=float(QUIET_SECONDS), defences=BUDGETS, expects_gap=True,
            inflict=both(
                told("rest_refuse", status=status, retry_after=QUIET_SECONDS, seconds=QUIET_SECONDS),
                told("skip", count=40),
            ),
            proof=simulated("rest_refuse"), sign=read_again,
            bound=Bound(simulated("rest_refuse"), MOST_REFUSED, "requests while told to be quiet"),
        )  # fmt: skip

    return [
        quiet(429),
        quiet(418),
        case(
            name="handshake_429", targets=(*SPOT, *USDM), hold=float(QUIET_SECONDS), defences=READ_AGAIN,
            inflict=told("refuse", "abort", status=429, retry_after=QUIET_SECONDS, seconds=QUIET_SECONDS),
            proof=simulated("refuse"), sign=endings,
        ),
        case(
            name="too_many_requests", targets=DERIBIT, covers=("10028 with close",), hold=5.0,
            inflict=told("too_many_requests", "abort", seconds=5), proof=simulated("too_many_requests"),
            sign=endings, defences=READ_AGAIN,
        ),
        case(
            name="test_request_flood", targets=DERIBIT, hold=2.0,
            inflict=told("test_request_flood", count=40), proof=simulated("test_request_flood"),
            bound=Bound(limits_broken, 0, "requests beyond the limits"),
            harmless="each answer is one small message", combines=False,
        ),
    ]  # fmt: skip


def maintenances() -> list[Case]:
    """Judged by the rows of the exchange's state, too: an entry, and an exit soon after the end."""

    def known(name: str, seconds: int, **more: Any) -> Case:
        return case(
            name=name, kind="outage", hold=float(seconds), sign=state_exits,
            detect_reach=seconds + RESUME_REACH, patience=60.0, **more,
        )  # fmt: skip

    return [
        known(
            "maintenance", 40, covers=("maintenance with notice",), defences=READ_AGAIN,
            inflict=told("maintenance", seconds=40, grace_seconds=1), proof=simulated("maintenance"),
            combines=False,
        ),
        known(
            "maintenance_unannounced", 12, covers=("maintenance without notice",), defences=PROBE,
            inflict=told("maintenance", seconds=12, notice=False, grace_seconds=0),
            proof=simulated("maintenance"),
        ),
        known(
            "maintenance_accepting", ACCEPTING_SECONDS, defences=READ_AGAIN,
            inflict=told("maintenance", seconds=ACCEPTING_SECONDS, accepting=True),
            proof=simulated("maintenance"),
        ),
        known(
            "lock_unheard", 9, targets=DERIBIT, defences=PROBE, combines=False,
            inflict=both(told("locked", seconds=6), told("refuse", "abort", seconds=9)),
            proof=simulated("locked"),
        ),
    ]  # fmt: skip

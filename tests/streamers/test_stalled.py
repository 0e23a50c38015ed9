from __future__ import annotations

from streamers.stalled import Waiting, merged
from trade_platform.domain.model import Channel, ExchangeState, ExchangeStatus, Gap, GapReason, Record


def waiting(*records: Record) -> list[Waiting]:
    return [("event", (record,), at) for at, record in enumerate(records)]


def gap(since: int, until: int, first: int | None = None, last: int | None = None, **changes: str) -> Gap:
    symbol = changes.get("symbol", "AAA")
    return Gap(symbol, Channel.TRADE, GapReason.DISCONNECT, first, last, since, until, "closed")


def state(status: ExchangeStatus, at: int) -> ExchangeState:
    return ExchangeState(status, "", "said", at, at)


def records(stalled: list[Waiting]) -> list[Record]:
    return [batch[0] for _, batch, _ in merged(stalled)]


def test_gaps_of_the_same_thing_become_one_that_spans_them() -> None:
    stalled = waiting(gap(5, 9), gap(1, 2, symbol="BBB"), gap(20, 30), gap(3, 4))
    assert records(stalled) == [gap(3, 30), gap(1, 2, symbol="BBB")]


def test_numbers_are_spanned_and_never_mixed_with_times() -> None:
    stalled = waiting(gap(1, 2, 10, 12), gap(3, 4), gap(5, 6, 7, 8))
    assert records(stalled) == [gap(1, 6, 7, 12), gap(3, 4)]


def test_a_state_said_twice_in_a_row_is_said_once_and_none_is_lost() -> None:
    opened, closed = ExchangeStatus.OPEN, ExchangeStatus.MAINTENANCE
    said = [state(closed, 1), state(closed, 2), state(opened, 3), state(closed, 4)]
    assert records(waiting(*said)) == [said[0], said[2], said[3]]

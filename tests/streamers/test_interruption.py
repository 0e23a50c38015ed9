from __future__ import annotations

from streamers.ending import Ending
from streamers.interruption import Interruption
from trade_platform.domain.model import Channel, GapReason
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import Reason

WANTED = (Wanted("A", Channel.TRADE), Wanted("A", Channel.QUOTE), Wanted("B", Channel.TRADE))


def test_a_break_is_one_gap_a_channel_and_is_told_once() -> None:
    interruption = Interruption("market-0", 0)
    assert [*interruption.over(5, WANTED)] == []  # the first start has nothing behind it
    interruption.begin(Ending(Reason.CLOSED, "close code 1006"), 7)
    interruption.begin(Ending(Reason.UNREACHABLE, "refused"), 0)  # the same break goes on
    gaps = [*interruption.over(9, WANTED)]
    assert [(gap.symbol, gap.channel, gap.since, gap.until) for gap in gaps] == [
        (None, Channel.QUOTE, 7, 9),
        (None, Channel.TRADE, 7, 9),
    ]
    assert {gap.detail for gap in gaps} == {"market-0: closed (close code 1006)"}
    assert {gap.reason for gap in gaps} == {GapReason.DISCONNECT}
    assert [*interruption.over(10, WANTED)] == []


def test_a_restart_is_a_break_unless_somebody_else_delivered() -> None:
    restarted, relieved = Interruption("market-0", 3), Interruption("market-0", 3)
    assert restarted.of_a_restart
    assert {gap.reason for gap in restarted.over(5, WANTED)} == {GapReason.RESTART}
    relieved.relieve()
    assert not relieved.of_a_restart
    assert [*relieved.over(5, WANTED)] == []

"""An amount that came to a spot account or left it, and the list that says what it was.

A ``balanceUpdate`` tells an amount alone, at once; lists tell what it was, some time later or never
(interest, dust, gifts). So that nothing counts twice, an amount that is heard is looked for in the lists:
what is found bears the list's id, as it will when the list is read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from trade_platform.domain.accounts import AccountRecord, Movement
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.exchanges.account import AccountOutput, Ask, Fetch
from trade_platform.exchanges.binance.private.spot_transfers import incoming, outgoing

LOOK_BACK: Final = 7 * DAY
"""A deposit is dated by its transaction, and credited later."""
REMEMBERED: Final = 1000
AGAIN_AFTER: Final = MINUTE
"""Microseconds of the market's time."""
AtLast: TypeAlias = Callable[[Movement], Sequence[AccountOutput]]
"""What is done with what no list knows."""


class Explaining:
    """Finds out what was heard of; each row of a list explains one amount."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, None] = OrderedDict()
        self._heard: OrderedDict[str, None] = OrderedDict()
        self._unexplained: list[Movement] = []

    def explain(self, heard: Movement) -> Sequence[AccountOutput]:
        """Ask the lists one by one; told twice, it is asked about once."""
        if heard.movement_id in self._heard:
            return ()
        _keep(self._heard, heard.movement_id)
        return self._look(heard, _lists(heard), self._put_off)

    def due(self, market_time: int) -> list[AccountOutput]:
        """Ask once more about what no list knew; what none knows then stays what it was heard as."""
        ripe = [one for one in self._unexplained if market_time >= one.receive_time + AGAIN_AFTER]
        if not ripe:
            return []
        self._unexplained = [one for one in self._unexplained if one not in ripe]
        return [output for one in ripe for output in self._look(one, _lists(one), _as_heard)]

    def _put_off(self, heard: Movement) -> Sequence[AccountOutput]:
        """Lists may be behind what is heard."""
        if len(self._unexplained) >= REMEMBERED:
            return (heard,)
        self._unexplained.append(heard)
        return ()

    def _look(self, heard: Movement, asks: Sequence[Ask], at_last: AtLast) -> Sequence[AccountOutput]:
        if not asks:
            return at_last(heard)
        ask, *others = asks

        def then(records: Sequence[AccountRecord]) -> Sequence[AccountOutput]:
            found = self._match(heard, records)
            if found is None:
                return self._look(heard, others, at_last)
            _keep(self._used, found.movement_id)
            return (found,)

        def failed(sentence: str) -> Sequence[AccountOutput]:  # noqa: ARG001
            """The amount is true in any case."""
            return at_last(heard)

        return (Fetch(ask=ask, then=then, failed=failed),)

    def _match(self, heard: Movement, records: Sequence[AccountRecord]) -> Movement | None:
        """The nearest of those that say the same and explained nothing yet."""
        alike = [
            one
            for one in records
            if isinstance(one, Movement)
            and (one.asset, one.change) == (heard.asset, heard.change)
            and one.movement_id not in self._used
        ]
        return min(alike, key=lambda one: abs(one.event_time - heard.event_time), default=None)


def _lists(heard: Movement) -> list[Ask]:
    """Those in which it may stand."""
    lists = incoming if heard.change > 0 else outgoing
    return lists(max(0, heard.event_time - LOOK_BACK), heard.event_time + MINUTE)


def _as_heard(heard: Movement) -> Sequence[AccountOutput]:
    return (heard,)


def _keep(names: OrderedDict[str, None], name: str) -> None:
    names[name] = None
    if len(names) > REMEMBERED:
        names.popitem(last=False)

from __future__ import annotations

import asyncio
from typing import Any

from streamers.outbox import MOST_TEXTS, Outbox
from tests.streamers.waiting import until
from trade_platform.adapters.budget import Budget
from trade_platform.exchanges.limits import SUBSCRIBE, Limit
from trade_platform.exchanges.session import Send, Turn


class Said(list[str]):
    async def send(self, text: str) -> None:
        self.append(text)


async def test_what_the_host_counts_waits_for_its_limit_and_keeps_nothing_else_waiting() -> None:
    budget = Budget("fictional", (Limit(SUBSCRIBE, 4, 400_000.0),), share=1.0)  # one, and then no more
    outbox, said = Outbox(budget), Said()
    socket: Any = said
    running = asyncio.create_task(outbox.run(socket))
    for number in range(3):
        outbox.put(Send(f"subscribe {number}", SUBSCRIBE))
    outbox.put(Send("pong"))
    await until(lambda: len(said) == 2)
    assert sorted(said) == ["pong", "subscribe 0"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()


async def test_what_waits_for_its_turn_says_so_until_it_was_said() -> None:
    budget = Budget("fictional", (Limit(SUBSCRIBE, 4, 400_000.0),), share=1.0)
    outbox, said = Outbox(budget), Said()
    socket: Any = said
    turns = [Turn(), Turn()]
    for turn in turns:
        assert outbox.put(Send("subscribe", SUBSCRIBE, turn))
    assert [turn.waiting for turn in turns] == [True, True]
    running = asyncio.create_task(outbox.run(socket))
    await until(lambda: len(said) == 1)
    assert [turn.waiting for turn in turns] == [False, True]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_for_a_server_that_does_not_read_only_so_much_is_kept() -> None:
    outbox = Outbox(Budget("fictional", ()))
    assert all(outbox.put(Send("pong")) for _ in range(MOST_TEXTS))
    assert not outbox.put(Send("pong"))
    assert not outbox.put(Send("subscribe", SUBSCRIBE))
    assert len(outbox) == MOST_TEXTS

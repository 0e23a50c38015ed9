"""Faults and deaths between any two steps of publisher, bus and processors; and does the model see them?"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from streamers import bus_link
from streamers.bus_link import Parcel
from streamers.publisher import Publisher
from tests.exactly_once.bus import Link
from tests.exactly_once.model import ExactlyOnce, World
from tests.processors.feeding import STREAM
from trade_platform.adapters.bus import sequence_key
from trade_platform.domain.defences import Defence
from trade_platform.processors import producers

EXAMPLES = int(os.environ.get("EXACTLY_ONCE_EXAMPLES", "12"))
STEPS = 40


def test_stored_once_or_told_to_be_missing(world: World) -> None:
    run_state_machine_as_test(
        lambda: machine(world),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[phase for phase in Phase if phase is not Phase.explain],
        ),
    )


def machine(world: World) -> ExactlyOnce:
    made = type("Machine", (ExactlyOnce,), {"world": world})
    return made()


# --- bugs that are put in by hand, and what shows each of them ---


def an_answer_is_lost(model: ExactlyOnce) -> None:
    model.number(refused=True)
    model.flush("answer lost")
    model.flush("")
    model.process(STREAM)


def redis_forgets(model: ExactlyOnce) -> None:
    model.event()
    model.flush("")
    model.redis_loses(seconds=0, noticed=True)


def redis_forgets_what_is_stored_and_the_streamer_dies(model: ExactlyOnce) -> None:
    model.trades("BTCUSDT", 2)
    model.flush("")
    model.process(STREAM)
    model.kill()
    model.redis_loses(seconds=0, noticed=True)


def killed_in_a_flush(model: ExactlyOnce) -> None:
    model.trades("BTCUSDT", 2)
    model.flush("killed before")


def killed_with_something_unsealed(model: ExactlyOnce) -> None:
    model.number(refused=False)
    model.event()
    model.flush("", sealed=False)
    model.kill()


def redis_comes_back_after_the_start(model: ExactlyOnce) -> None:
    model.number(refused=False)
    model.kill()
    model.redis(away=True)
    model.start()
    model.subscribe()


def entries_are_deleted(model: ExactlyOnce) -> None:
    """Too long ago to be sent again."""
    model.process(STREAM)
    model.number(refused=False)
    model.flush("")
    model.server.client.xtrim(STREAM, maxlen=0, approximate=False)
    for _ in range(4):
        model.a_second_passes()
    model.event()
    model.flush("")


def without(defence: Defence) -> Callable[[World, pytest.MonkeyPatch], None]:
    def plant(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.without = frozenset({defence})

    return plant


def promise_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is written before the entries, not with them."""
    demand = Link._demand
    send = Link.send

    async def early(link: Link, parcels: list[Parcel]) -> list[str]:
        mark = {field: last for parcel in parcels for field, last in parcel.sequences.items()}
        for command in bus_link._promise(sequence_key(parcels[0].entry.exchange), mark):
            await demand(link)
            await link._ask(*map(str, command))
        return await send(link, parcels)

    monkeypatch.setattr(Link, "send", early)


def mark_of_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry says that all until now is told."""
    place = Publisher._place

    def eager(publisher: Publisher, kind: str, batch: Any, since: int, *, told: int | None = None) -> bool:
        return place(publisher, kind, batch, since, told=publisher._clock.market())

    monkeypatch.setattr(Publisher, "_place", eager)


def tell_nothing_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Redis told after the first connection is not compared."""
    event = Publisher.event

    def quiet(publisher: Publisher, record: Any) -> None:
        if not getattr(record, "detail", "").startswith("Redis told late"):
            event(publisher, record)

    monkeypatch.setattr(Publisher, "event", quiet)


def jump_in_silence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is skipped is no Gap."""
    screen = producers.screen

    def silent(*arguments: Any, **options: Any) -> producers.Screened:
        screened = screen(*arguments, **options)
        screened.gaps.clear()
        return screened

    monkeypatch.setattr("trade_platform.processors.apply.screen", silent)


BUGS = {
    "repeats are accepted": (without(Defence.REPEATS), an_answer_is_lost),
    "nothing is sent again": (without(Defence.RESEND), redis_forgets),
    "coverage is not subtracted": (
        without(Defence.COVERAGE),
        redis_forgets_what_is_stored_and_the_streamer_dies,
    ),
    "the promise goes before its entries": (promise_first, killed_in_a_flush),
    "the mark runs ahead": (mark_of_now, killed_with_something_unsealed),
    "what is told late is not compared": (tell_nothing_late, redis_comes_back_after_the_start),
    "a jump is no gap": (jump_in_silence, entries_are_deleted),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_model_finds(world: World, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps pass without the bug, and fail with it."""
    plant, scenario = BUGS[bug]
    play(world, scenario)
    plant(world, monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        play(world, scenario)


def play(world: World, scenario: Callable[[ExactlyOnce], None]) -> None:
    model = machine(world)
    model.begin()
    scenario(model)
    model.teardown()

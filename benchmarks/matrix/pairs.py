"""Two faults at once, drawn by a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import psycopg
from msgspec.structs import replace

from benchmarks.loopback import Reading, grown
from benchmarks.matrix.case import Case, both
from benchmarks.platform import Platform
from benchmarks.signs import Look
from trade_platform.adapters.loopback import LoopbackError

STAGE: Final = "bus"
"""The one on which every one of them can be done."""
PATIENCE: Final = 120.0


def pairs(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """So many, each of two kinds that meet at some exchange; the same seed draws the same."""
    dice = random.Random(f"pairs/{seed}")
    able = [case for case in cases if case.combines and case.stage in ("plain", STAGE)]
    found: dict[str, Case] = {}
    while len(found) < count:
        first, second = dice.sample(able, 2)
        if first.kind != second.kind and set(first.targets) & set(second.targets):
            pair = together(first, second)
            found.setdefault(pair.name, pair)
    return list(found.values())


def together(first: Case, second: Case) -> Case:
    """Both begin at once; it is over when both are."""
    return replace(
        first,
        name=f"{first.name} + {second.name}",
        kind="pair",
        covers=("two faults at once",),
        stage=STAGE,
        targets=tuple(target for target in first.targets if target in second.targets),
        shared=first.shared or second.shared,
        prepare=both(first.prepare, second.prepare),
        inflict=both(first.inflict, second.inflict),
        heal=both(first.heal, second.heal),
        clean_up=both(first.clean_up, second.clean_up),
        hold=max(first.hold, second.hold),
        proof=Together(first.proof, second.proof),
        sign=None,
        detect_reach=None,
        resume_reach=None,
        bound=None,
        expects_gap=False,
        expects_none=False,
        patience=PATIENCE,
        defences=(),
        harmless="each has a row of its own",
    )


class Together:
    """Grows when each of two looks has grown since the first time that it was asked."""

    def __init__(self, *looks: Look) -> None:
        self._looks = looks
        self._first: dict[tuple[str, int], Reading] = {}
        self._seen: dict[tuple[str, int], str] = {}

    def __call__(self, platform: Platform, target: str) -> Reading:
        for place, look in enumerate(self._looks):
            try:
                reading = look(platform, target)
            except (LoopbackError, psycopg.Error):
                continue  # the other fault may stand in its way
            word = grown(self._first.setdefault((target, place), reading), reading)
            if word:
                self._seen.setdefault((target, place), word)
        words = [self._seen.get((target, place), "") for place in range(len(self._looks))]
        return {" and ".join(words): 1.0} if all(words) else {}

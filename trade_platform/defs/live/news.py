"""What of the live platform's health is worth an event: changes at once, the rest every ten minutes."""

from __future__ import annotations

from typing import TypeAlias

import dagster as dg
import msgspec

from trade_platform.defs.live import reports
from trade_platform.defs.live.assets import HEARTBEAT_SECONDS
from trade_platform.operations.health import Health

Event: TypeAlias = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


class Told(msgspec.Struct, frozen=True):
    """What was said last of an asset or a check."""

    state: str
    at: int
    """Seconds since 1970, the machine's clock."""
    flows: bool = False


class Memory(msgspec.Struct, frozen=True):
    """The cursor: lost, everything is said once more."""

    assets: dict[str, Told] = {}
    checks: dict[str, Told] = {}

    @classmethod
    def from_text(cls, text: str | None) -> Memory:
        """Of a cursor; an older form of it counts as none."""
        try:
            return msgspec.json.decode(text or "{}", type=cls)
        except msgspec.DecodeError:
            return cls()


def news(health: Health, memory: Memory, now: int) -> tuple[list[Event], Memory]:
    """What is to be said at ``now`` (seconds since 1970), and what is remembered then.

    A check is shown for the materialisation that it follows: it is repeated with each.
    """
    assets, checks = dict(memory.assets), dict(memory.checks)
    said = [one for one in reports.reports(health) if _is_news(one, assets, now)]
    events: list[Event] = [_event(one) for one in said]
    renewed = {one.key for one in said if one.flows}
    for one in reports.verdicts(health):
        name = f"{one.key.to_user_string()}:{one.check}"
        if one.key in renewed or name not in checks or checks[name].state != one.state:
            events.append(one.evaluation())
            checks[name] = Told(one.state, now)
    assets.update({one.key.to_user_string(): Told(one.state, now, one.flows) for one in said})
    return events, Memory(assets, checks)


def _is_news(one: reports.Report, told: dict[str, Told], now: int) -> bool:
    before = told.get(one.key.to_user_string())
    if before is None or now - before.at >= HEARTBEAT_SECONDS or now < before.at:
        return True
    return (before.state, before.flows) != (one.state, one.flows)


def _event(one: reports.Report) -> Event:
    kind = dg.AssetMaterialization if one.flows else dg.AssetObservation
    return kind(asset_key=one.key, metadata=one.metadata)

"""The code location as a whole: it loads alone, it is what it was, and everything in it is described."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import msgspec

from trade_platform.definitions import build_definitions

SNAPSHOT = Path(__file__).with_name("definitions.json")
HEAVY = ("pandas", "pyarrow", "matplotlib", "numpy", "alembic", "aiohttp")
LOOK = f"""
import sys, trade_platform.definitions
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""


def contents(definitions: dg.Definitions) -> dict[str, object]:
    """Names of everything that is defined."""
    graph = definitions.resolve_asset_graph()
    assets = {
        key.to_user_string(): {
            "group": graph.get(key).group_name,
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "checks": sorted(check.name for check in graph.get_check_keys_for_assets([key])),
        }
        for key in graph.get_all_asset_keys()
    }
    return {
        "assets": dict(sorted(assets.items())),
        "jobs": sorted(job.name for job in definitions.resolve_all_job_defs() if job.name[:2] != "__"),
        "schedules": sorted(one.name for one in definitions.schedules or ()),
        "sensors": sorted(one.name for one in definitions.sensors or ()),
    }


def test_the_code_location_loads_in_a_fresh_interpreter_and_stays_light() -> None:
    """Every run imports it: what a run does not need would cost each of them."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOOK], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.split() == []


def test_everything_that_is_defined_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(build_definitions())


def test_the_contents_are_those_of_the_snapshot() -> None:
    """After a wanted change: python -m tests.test_definitions."""
    assert contents(build_definitions()) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_asset_has_a_group_an_owner_a_description_and_a_kind() -> None:
    graph = build_definitions().resolve_asset_graph()
    without = [
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        for node in [graph.get(key)]
        if not (node.description and node.owners and node.kinds) or node.group_name in (None, "default")
    ]
    assert without == []


def test_every_asset_key_is_lower_case() -> None:
    keys = build_definitions().resolve_asset_graph().get_all_asset_keys()
    assert [key for key in keys if key.to_user_string() != key.to_user_string().lower()] == []


def test_everything_that_runs_by_itself_is_described_and_switched_on() -> None:
    definitions = build_definitions()
    sensors, schedules = definitions.sensors or (), definitions.schedules or ()
    assert [one.name for one in sensors if not one.description] == []
    assert {one.default_status for one in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert {one.default_status for one in schedules} == {dg.DefaultScheduleStatus.RUNNING}


if __name__ == "__main__":
    encoded = msgspec.json.encode(contents(build_definitions()))
    SNAPSHOT.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")

"""The report as Dagster materialises it, from real tables."""

from __future__ import annotations

import base64

import dagster as dg

from tests.pictures.looking import decoded, dots
from tests.processors.feeding import NOON
from tests.recorded import HOUR_ONE, every, record
from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.completeness import definitions
from trade_platform.defs.completeness.report import ASSET, completeness_report
from trade_platform.defs.stores import KEY, Stores
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.ohlc import HOUR
from trade_platform.pictures.heat_map import ALL, RAMP

PICTURES = ("coverage of 24 hours", "coverage of 7 days", "rate", "lag")


def materialised(stores: Stores) -> dg.ExecuteInProcessResult:
    return dg.materialize([completeness_report], resources={KEY: stores})


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.MetadataValue]:
    (event,) = result.asset_materializations_for_node("completeness_report")
    return dict(event.metadata)


def shown(value: dg.MetadataValue) -> bytes:
    assert isinstance(value, dg.MarkdownMetadataValue)
    return base64.b64decode(value.md_str.partition("base64,")[2].removesuffix(")"))


def test_a_whole_recording_is_shown_whole(connection: Connection, stores: Stores) -> None:
    """The market's clock stands two hours after noon."""
    record(connection, every(10, HOUR_ONE - 3 * HOUR, NOON + 120 * MINUTE))
    result = materialised(stores)
    metadata = metadata_of(result)
    for name in PICTURES:
        decoded(shown(metadata[name]))
    whole = decoded(shown(metadata["coverage of 24 hours"]))
    assert dots(whole, ALL) > 1000
    assert metadata["percent of 24 hours"].value == 100.0
    assert (metadata["open gaps"].value, metadata["missing"].value) == (0, 0)
    (row,) = metadata["by instrument"].records
    assert row.data["instrument or family"] == "binance_spot/BTCUSDT"
    assert row.data["24 hours"] == "100 %"
    (check,) = result.get_asset_check_evaluations()
    assert (check.asset_key, check.check_name, check.passed) == (ASSET, "complete", True)


def test_a_hole_of_a_closed_day_turns_the_check_red_and_is_named(
    connection: Connection, stores: Stores
) -> None:
    yesterday = HOUR_ONE - DAY
    record(connection, every(10, yesterday, yesterday + 3 * HOUR, missing=range(400, 410)))
    result = materialised(stores)
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    (named,) = check.metadata["first of them"].value
    assert named.endswith("binance_spot BTCUSDT trade: 10")
    week = decoded(shown(metadata_of(result)["coverage of 7 days"]))
    assert dots(week, RAMP[0][1]) > 20


def test_nothing_recorded_is_a_report_without_maps(stores: Stores) -> None:
    metadata = metadata_of(materialised(stores))
    assert "coverage of 24 hours" not in metadata
    assert metadata["instruments"].value == 0
    decoded(shown(metadata["lag"]))


def test_the_area_holds_the_asset_its_job_and_its_schedule() -> None:
    defs = dg.Definitions.merge(definitions(), dg.Definitions(resources={KEY: Stores()}))
    spec = next(spec for spec in defs.resolve_all_asset_specs() if spec.key == ASSET)
    assert (spec.group_name, spec.owners) == ("completeness", ["team:trading"])
    assert defs.resolve_job_def("report_completeness").name == "report_completeness"
    schedule = defs.resolve_schedule_def("report_completeness_hourly")
    assert schedule.cron_schedule == "3 * * * *"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING

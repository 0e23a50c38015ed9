"""The area as Dagster loads it: what is made of what, what proves it, and what makes it in time."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs import ohlc
from trade_platform.defs.partitions import INSTRUMENT_DAYS
from trade_platform.defs.stores import Stores


def whole() -> dg.Definitions:
    return dg.Definitions.merge(ohlc.definitions(), dg.Definitions(resources={"stores": Stores()}))


def test_every_asset_says_what_it_is_made_of_and_whose_it_is() -> None:
    graph = whole().resolve_asset_graph()
    made_of = {
        node.key.path[-1]: sorted(parent.to_user_string() for parent in node.parent_keys)
        for node in map(graph.get, graph.materializable_asset_keys)
    }
    assert made_of == {
        "candles_1m": ["postgres/trade"],
        "candles_5m": ["candles_1m"],
        "candles_15m": ["candles_5m"],
        "candles_1h": ["candles_15m"],
        "candles_4h": ["candles_1h"],
        "candles_1d": ["candles_4h"],
        "control_totals": ["candles_1m", "postgres/candle"],
    }
    for node in map(graph.get, graph.materializable_asset_keys):
        assert (node.group_name, list(node.owners), node.partitions_def) == (
            *("ohlc", ["team:trading"], INSTRUMENT_DAYS),
        )
        assert node.description
        assert node.kinds
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), "a year is not 10,000 runs"


def test_checks_are_partitioned_as_their_assets_and_block_where_what_follows_would_be_wrong() -> None:
    specs = [spec for one in ohlc.definitions().asset_checks or () for spec in one.check_specs]
    assert {spec.partitions_def for spec in specs} == {INSTRUMENT_DAYS}
    assert {(spec.asset_key.path[-1], spec.name) for spec in specs if spec.blocking} == {
        ("candles_1m", "no_duplicate_trades"),
        ("candles_1m", "possible_candles"),
        ("candles_1m", "made_of_their_trades"),
    }
    assert {spec.name for spec in specs if not spec.blocking} == {
        *("no_open_gaps", "sequence_contiguous", "made_of_their_minutes", "agrees_with_the_exchange"),
    }


def test_what_makes_them_in_time_is_on_by_itself() -> None:
    definitions = ohlc.definitions()
    assert sorted(job.name for job in definitions.jobs or ()) == [
        *("candles_refresh", "close_days", "prove_candles"),
    ]
    for schedule in definitions.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    sensors = definitions.sensors or ()
    assert {one.name for one in sensors} == {"day_closed", "candle_checks"}
    assert {one.default_status for one in sensors} == {dg.DefaultSensorStatus.RUNNING}


def test_it_loads() -> None:
    dg.Definitions.validate_loadable(whole())

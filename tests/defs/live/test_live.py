"""What the graph begins with."""

from __future__ import annotations

import dagster as dg

from tests.defs.live.graph import graph_of_live
from trade_platform.defs.live.assets import TABLES, connection_key, stream_key, table_key
from trade_platform.exchanges.registry import EXCHANGES


def test_the_graph_leads_from_the_exchange_over_its_stream_to_the_tables() -> None:
    graph = graph_of_live()
    for key in EXCHANGES:
        stream = stream_key(f"market:{key}")
        assert graph.get(stream).parent_keys == {connection_key(key)}
        assert stream in graph.get(table_key("trade")).parent_keys
        assert connection_key(key) in graph.get(stream_key("state")).parent_keys
    assert graph.get(table_key("gap")).parent_keys >= {stream_key("state")}


def test_what_must_never_rest_has_a_freshness_policy_and_events_have_none() -> None:
    graph = graph_of_live()
    fresh = {key for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy}
    assert {table_key(name) for name in ("trade", "candle", "number", "coverage")} <= fresh
    assert {connection_key(key) for key in EXCHANGES} <= fresh
    assert not fresh & {table_key(name) for name in ("gap", "dead_letter", "exchange_state", "liquidation")}


def test_nobody_can_run_what_dagster_does_not_run() -> None:
    graph = graph_of_live()
    executable = {key.to_user_string() for key in graph.executable_asset_keys}
    assert executable == {"gap_repair", "instrument_catalogue"}


def test_every_table_has_a_key_of_its_own() -> None:
    assert dg.AssetKey(["postgres", "trade"]) == table_key("trade")
    assert len(TABLES) == 10

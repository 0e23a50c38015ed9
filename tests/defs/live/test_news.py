"""Health in, events out: what is worth telling, what is told again, and in which colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import msgspec
import pytest

from tests.processors.feeding import EXCHANGE, NOON
from trade_platform.adapters.database.freshness import Heard, Letters, OpenGaps, RecordedTrades
from trade_platform.adapters.stream_health import StreamHealth
from trade_platform.defs.live import reports
from trade_platform.defs.live.assets import HEARTBEAT_SECONDS, STATE, connection_key, stream_key, table_key
from trade_platform.defs.live.news import Event, Memory, news
from trade_platform.defs.live.reports import RESTING
from trade_platform.domain.delivery import Delivery
from trade_platform.domain.model import MICROSECONDS, MINUTE, ExchangeStatus
from trade_platform.operations.health import ExchangeHealth, Health

NOW = 1_800_000_000
CONNECTION, STREAM = connection_key(EXCHANGE), stream_key(f"market:{EXCHANGE}")
TRADE, GAP, LETTER = table_key("trade"), table_key("gap"), table_key("dead_letter")


def trades(symbol: str = "BTCUSDT", **changes: Any) -> RecordedTrades:
    fields: dict[str, Any] = {
        "exchange": EXCHANGE,
        "symbol": symbol,
        "kind": "spot",
        "status": "TRADING",
        "channel": "trade",
        "held": 90,
        "missing": 10,
        "ranges": 2,
        "newest": NOON - MICROSECONDS,
        "heard": None,
        "span_seconds": 90.0,
        "minute": 60,
        "candle": NOON - MINUTE,
        "expired": False,
    }
    return RecordedTrades(**(fields | changes))


def health(
    delivery: Delivery = Delivery.DELIVERING,
    *,
    lag: float = 0.1,
    recorded: Sequence[RecordedTrades] | None = None,
    late: Sequence[RecordedTrades] = (),
    status: ExchangeStatus = ExchangeStatus.OPEN,
    **changes: Any,
) -> Health:
    exchange = ExchangeHealth(
        exchange=EXCHANGE,
        delivery=delivery,
        status=status,
        reason="",
        age_seconds=0.5,
        patience_seconds=15.0,
        batches_a_second=8.0,
        trades=[trades()] if recorded is None else recorded,
        late=late,
        heard=[Heard(EXCHANGE, "quote", NOON, 1)],
    )
    stream = StreamHealth(
        stream=f"market:{EXCHANGE}", length=9, lag_seconds=lag, age_seconds=0.5, arrivals=(2.0, 1.0)
    )
    fields: dict[str, Any] = {
        "market_time": NOON,
        "exchanges": [exchange],
        "streams": [stream],
        "gaps": [],
        "lost_today": 0,
        "letters": [],
    }
    return Health(**(fields | changes))


def of(events: Sequence[Event], key: dg.AssetKey) -> list[Event]:
    return [one for one in events if one.asset_key == key]


def check(events: Sequence[Event], key: dg.AssetKey) -> dg.AssetCheckEvaluation:
    (found,) = [one for one in of(events, key) if isinstance(one, dg.AssetCheckEvaluation)]
    return found


def values(event: Event) -> dict[str, Any]:
    return {name: value.value for name, value in event.metadata.items()}


def test_at_first_everything_is_told() -> None:
    events, _ = news(health(), Memory(), NOW)
    kinds = {one.asset_key.to_user_string(): type(one).__name__ for one in reversed(events)}
    assert kinds == {
        f"exchange/{EXCHANGE}": "AssetMaterialization",
        f"redis/market/{EXCHANGE}": "AssetMaterialization",
        "postgres/trade": "AssetMaterialization",
        "postgres/coverage": "AssetMaterialization",
        "postgres/candle": "AssetMaterialization",
        "postgres/number": "AssetMaterialization",
        "postgres/gap": "AssetMaterialization",
        "postgres/dead_letter": "AssetMaterialization",
        **{f"postgres/{name}": "AssetMaterialization" for name in RESTING},
    }


def test_what_rests_is_green_only_while_all_that_came_is_stored() -> None:
    events, _ = news(health(lag=60.0), Memory(), NOW)
    resting = [of(events, table_key(name)) for name in (*RESTING, "gap", "dead_letter")]
    assert {type(first) for first, *_ in resting} == {dg.AssetObservation}
    state = StreamHealth(stream="state", length=0, lag_seconds=0.0, age_seconds=None, arrivals=(0.0, 0.0))
    told, _ = news(health(streams=[state]), Memory(), NOW)
    assert isinstance(of(told, STATE)[0], dg.AssetMaterialization)


def test_the_same_state_is_told_once_and_again_after_ten_minutes() -> None:
    _, memory = news(health(), Memory(), NOW)
    assert news(health(), memory, NOW + HEARTBEAT_SECONDS - 1)[0] == []
    assert of(news(health(), memory, NOW + HEARTBEAT_SECONDS)[0], CONNECTION)


def test_what_is_remembered_survives_the_cursor() -> None:
    _, memory = news(health(), Memory(), NOW)
    text = msgspec.json.encode(memory).decode()
    assert news(health(), Memory.from_text(text), NOW + 1)[0] == []
    assert len(text) < 4000
    assert Memory.from_text(None) == Memory.from_text("nonsense") == Memory.from_text("[1]") == Memory()


def test_a_silence_turns_the_check_red_at_once_and_no_heartbeat_says_otherwise() -> None:
    _, memory = news(health(), Memory(), NOW)
    events, memory = news(health(Delivery.STOPPED), memory, NOW + 30)
    assert not check(events, CONNECTION).passed
    assert check(events, CONNECTION).severity is dg.AssetCheckSeverity.ERROR
    assert "start it again" in str(check(events, CONNECTION).description)
    assert all(not isinstance(one, dg.AssetMaterialization) for one in of(events, CONNECTION))
    later, memory = news(health(Delivery.STOPPED), memory, NOW + 30 + HEARTBEAT_SECONDS)
    assert all(not isinstance(one, dg.AssetMaterialization) for one in of(later, CONNECTION))
    back, _ = news(health(), memory, NOW + 60 + HEARTBEAT_SECONDS)
    assert check(back, CONNECTION).passed
    assert isinstance(of(back, CONNECTION)[0], dg.AssetMaterialization)


def test_an_exchange_that_says_it_is_closed_is_no_error() -> None:
    events, _ = news(health(Delivery.CLOSED, status=ExchangeStatus.MAINTENANCE), Memory(), NOW)
    found = check(events, CONNECTION)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_check_is_repeated_with_its_asset_s_heartbeat_and_after_it() -> None:
    """Dagster shows no check that is older than its asset's newest materialisation."""
    _, memory = news(health(), Memory(), NOW)
    events, _ = news(health(), memory, NOW + HEARTBEAT_SECONDS)
    for key in (CONNECTION, STREAM, TRADE, GAP):
        kinds = [type(one).__name__ for one in of(events, key)]
        assert kinds == ["AssetMaterialization", "AssetCheckEvaluation"]


@pytest.mark.parametrize(("lag", "passed"), [(9.9, True), (10.1, False)])
def test_a_processor_that_is_behind_is_red(lag: float, passed: bool) -> None:
    events, _ = news(health(lag=lag), Memory(), NOW)
    assert check(events, STREAM).passed is passed


def test_a_redis_that_is_away_is_red_where_it_always_is_and_says_nothing_of_the_exchanges() -> None:
    _, memory = news(health(), Memory(), NOW)
    away = health(exchanges=[], streams=[], redis_error="Redis does not answer (refused)")
    events, memory = news(away, memory, NOW + 30)
    found = check(events, stream_key("state"))
    assert (found.passed, found.description) == (False, "Redis does not answer (refused)")
    assert of(events, CONNECTION) == []
    assert news(away, memory, NOW + 60)[0] == []


def test_numbers_are_numbers_so_that_the_page_plots_them() -> None:
    events, _ = news(health(lag=2.5), Memory(), NOW)
    assert values(of(events, STREAM)[0])["processor behind (s)"] == 2.5
    told = values(of(events, CONNECTION)[0])
    assert (told["newest message age (s)"], told["batches a second"], told["trades a minute"]) == (0.5, 8, 60)
    coverage = values(of(events, table_key("coverage"))[0])
    assert (coverage["held"], coverage["missing"], coverage["coverage (%)"]) == (90, 10, 90.0)


def test_a_gap_is_a_warning_while_it_is_young_and_an_error_when_it_stays() -> None:
    _, memory = news(health(), Memory(), NOW)
    young, memory = news(health(gaps=[OpenGaps(EXCHANGE, 3, 20.0)]), memory, NOW + 30)
    found = check(young, GAP)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert values(found)["open"] == 3
    again, memory = news(health(gaps=[OpenGaps(EXCHANGE, 2, 50.0)]), memory, NOW + 60)
    assert of(again, GAP) == []
    old, memory = news(health(gaps=[OpenGaps(EXCHANGE, 2, 130.0)]), memory, NOW + 140)
    assert check(old, GAP).severity is dg.AssetCheckSeverity.ERROR
    closed, _ = news(health(), memory, NOW + 170)
    assert check(closed, GAP).passed


def test_dead_letters_are_told_when_they_have_doubled() -> None:
    def letters(count: int) -> Health:
        return health(letters=[Letters("state", "too big", count, NOON)])

    events, memory = news(letters(5), Memory(), NOW)
    assert not check(events, LETTER).passed
    assert not [one for one in news(letters(6), memory, NOW + 30)[0] if "Check" in type(one).__name__]
    assert not check(news(letters(9), memory, NOW + 30)[0], LETTER).passed


def test_late_instruments_are_named_the_longest_silent_first() -> None:
    late = trades("SLOW", newest=NOON - 900 * MICROSECONDS)
    events, _ = news(health(recorded=[trades(), late], late=[late]), Memory(), NOW)
    found = check(events, TRADE)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    (row,) = found.metadata["oldest"].records
    assert row.data == {"instrument": f"{EXCHANGE}/SLOW", "silent (s)": 900.0, "trades held": 90}
    whole, _ = news(health(recorded=[late], late=[late]), Memory(), NOW)
    assert check(whole, TRADE).severity is dg.AssetCheckSeverity.ERROR


def test_a_table_that_rests_gets_no_heartbeat() -> None:
    rests = trades(newest=NOON - 600 * MICROSECONDS, candle=NOON - 11 * MINUTE)
    events, _ = news(health(recorded=[rests]), Memory(), NOW)
    assert isinstance(of(events, TRADE)[0], dg.AssetObservation)
    assert isinstance(of(events, table_key("candle"))[0], dg.AssetObservation)


def test_the_same_verdict_serves_a_run_that_a_person_asked_for() -> None:
    (verdict,) = [one for one in reports.verdicts(health(lag=99.0)) if one.check == reports.LAG]
    result = verdict.result()
    assert (result.passed, result.check_name, result.asset_key) == (False, "lag", STREAM)

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
from redis import Redis

from tests.processors.feeding import EXCHANGE, NOON, Feeder, entry, kline, number, trade
from trade_platform.adapters.bus import latest_key
from trade_platform.domain.model import Metric, Record
from trade_platform.processors import latest
from trade_platform.processors.latest import PACE_SECONDS, Latest, RunningCandle

KEY = latest_key(EXCHANGE, "BTCUSDT")


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


class Shown:
    """Feeds records and shows what the hash says."""

    def __init__(self, feeder: Feeder, client: Redis) -> None:
        self.feeder = feeder
        self.client = client
        self.latest = Latest(client)
        self.n = 0

    def take(self, *records: Record, fold: bool = True) -> None:
        self.n += 1
        applied = self.feeder.apply(entry(records, self.n), fold=fold)
        self.latest.note(applied.accepted, self.feeder.lane.running)

    def flush(self, now: float) -> int:
        return self.latest.flush(self.feeder.lane.running, now)

    def field(self, name: str) -> bytes | None:
        value: bytes | None = self.client.hget(KEY, name)  # type: ignore[assignment]
        return value


@pytest.fixture
def shown(feeder: Feeder, client: Redis) -> Shown:
    return Shown(feeder, client)


def test_the_newest_number_of_each_metric_is_shown(shown: Shown) -> None:
    ask = number(NOON, metric=Metric.BEST_ASK, value=Decimal(9))
    shown.take(number(NOON + 2, value=Decimal(2)), number(NOON + 1, value=Decimal(1)), ask)
    shown.flush(0.0)
    assert (shown.field("best_bid"), shown.field("best_ask")) == (b"2", b"9")


def test_writes_keep_their_pace(shown: Shown) -> None:
    """Ten times a second at most; what came between is written together."""
    running = shown.feeder.lane.running
    assert shown.latest.seconds_until_due(running, 0.0) is None
    shown.take(number(NOON, value=Decimal(1)))
    assert shown.flush(0.0) == 1
    shown.take(number(NOON + 1, value=Decimal(2)))
    assert shown.flush(PACE_SECONDS / 2) == 0
    assert shown.latest.seconds_until_due(running, PACE_SECONDS / 2) == pytest.approx(PACE_SECONDS / 2)
    shown.take(number(NOON + 2, value=Decimal(3)))
    assert shown.flush(PACE_SECONDS) == 1
    assert shown.field("best_bid") == b"3"


def test_our_own_running_candle_wins_over_the_exchange_s(shown: Shown) -> None:
    shown.take(kline(closed=False))
    shown.flush(0.0)
    candle = msgspec.json.decode(shown.field("candle") or b"", type=RunningCandle)
    assert (candle.source, candle.close) == ("exchange", Decimal("100.5"))
    shown.take(trade(1, price=Decimal(7)))
    shown.take(kline(closed=False))
    shown.flush(1.0)
    candle = msgspec.json.decode(shown.field("candle") or b"", type=RunningCandle)
    assert (candle.source, candle.close, candle.trades) == ("trade", Decimal(7), 1)


def test_a_backlog_shows_nothing_until_it_is_caught_up(shown: Shown) -> None:
    shown.take(trade(1), fold=False)
    assert shown.flush(0.0) == 0
    assert shown.feeder.refresh() == 1
    assert shown.flush(0.0) == 1
    assert shown.field("candle") is not None


def test_what_redis_refuses_is_tried_later_and_bounded(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "MOST_PENDING", 1)
    running = shown.feeder.lane.running
    shown.take(number(symbol="ETHUSDT"), number(symbol="BTCUSDT"))
    shown.latest.put_off(0.0)
    assert shown.latest.seconds_until_due(running, 0.0) == latest.REFUSED_SECONDS
    assert shown.flush(0.0) == 0
    assert shown.flush(latest.REFUSED_SECONDS) == 1

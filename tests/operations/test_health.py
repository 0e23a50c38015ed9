from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from redis import Redis

from tests.adapters.test_stream_health import now_ms
from tests.processors.feeding import EXCHANGE, NOON, STREAM, Feeder, entry, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.process import RunFile
from trade_platform.domain.delivery import Delivery
from trade_platform.domain.model import MICROSECONDS, ExchangeStatus
from trade_platform.operations.health import ExchangeHealth, Health, read_health

SECOND = MICROSECONDS
LAST = NOON + 100 * SECOND


@pytest.fixture
def bus(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as bus:
        yield bus


@pytest.fixture
def selection(tmp_path: Path) -> Path:
    path = tmp_path / "instruments.toml"
    path.write_text(f'[[record]]\nexchange = "{EXCHANGE}"\nsymbols = ["*"]\nchannels = ["trade"]\n')
    return path


def told(bus: Redis, *seconds_ago: float) -> None:
    """Entries of a streamer, the oldest first."""
    now = now_ms(bus)
    for n, ago in enumerate(seconds_ago):
        fields = entry([trade(n + 1)], n + 1).fields()
        bus.xadd(STREAM, fields, id=f"{now - round(ago * 1000)}-*")  # type: ignore[arg-type]


def traded(connection: Connection, symbols: Sequence[str] = ("BTCUSDT",)) -> None:
    """A hundred trades each, one a market second; the last at ``LAST``."""
    feeder = Feeder(connection)
    for n, symbol in enumerate(symbols):
        feeder.apply(entry([trade(i, NOON + i * SECOND, symbol=symbol) for i in range(1, 101)], n + 1))


def states(connection: Connection, status: str, scope: str = "") -> None:
    connection.execute(
        """INSERT INTO exchange_state (exchange, scope, event_time, status, reason, receive_time)
           VALUES (%s, %s, now(), %s, 'told', now())""",
        (EXCHANGE, scope, status),
    )


def asked(
    connection: Connection, bus: Redis, folder: Path, selection: Path, market_time: int = LAST
) -> Health:
    return read_health(connection, bus, folder, selection, market_time)


def only(health: Health) -> ExchangeHealth:
    (one,) = health.exchanges
    return one


def test_an_exchange_that_nobody_records_is_not_judged(
    connection: Connection, bus: Redis, tmp_path: Path, selection: Path
) -> None:
    health = asked(connection, bus, tmp_path, selection)
    assert (health.exchanges, health.streams, health.redis_error) == ([], [], "")


def test_an_exchange_that_speaks_is_delivering(
    connection: Connection, bus: Redis, tmp_path: Path, selection: Path
) -> None:
    told(bus, *range(20, -1, -1))
    traded(connection)
    one = only(asked(connection, bus, tmp_path, selection))
    assert (one.exchange, one.delivery, one.status) == (EXCHANGE, Delivery.DELIVERING, ExchangeStatus.OPEN)
    assert (one.held, one.missing, one.trades_a_minute) == (100, 0, 61)


def test_a_streamer_that_is_gone_is_told_from_a_silent_exchange(
    connection: Connection, bus: Redis, tmp_path: Path, selection: Path
) -> None:
    told(bus, 130.0, 129.0, 128.0)
    assert only(asked(connection, bus, tmp_path, selection)).delivery is Delivery.SILENT
    with RunFile(tmp_path, "processor-state"):
        assert only(asked(connection, bus, tmp_path, selection)).delivery is Delivery.STOPPED
        with RunFile(tmp_path, f"streamer-{EXCHANGE}-b"):
            assert only(asked(connection, bus, tmp_path, selection)).delivery is Delivery.SILENT


def test_the_exchange_s_own_word_excuses_it_and_its_instruments(
    connection: Connection, bus: Redis, tmp_path: Path, selection: Path
) -> None:
    told(bus, 130.0, 129.0, 128.0)
    traded(connection)
    later = LAST + 3600 * SECOND
    assert [one.symbol for one in only(asked(connection, bus, tmp_path, selection, later)).late] == [
        "BTCUSDT"
    ]
    states(connection, "locked", "btc_usd")
    assert only(asked(connection, bus, tmp_path, selection, later)).late
    states(connection, "maintenance")
    one = only(asked(connection, bus, tmp_path, selection, later))
    assert (one.delivery, one.late) == (Delivery.CLOSED, [])


@pytest.mark.parametrize(
    "change",
    ["status = 'HALT'", "expiry = '2026-01-01'", "symbol = 'OTHER'"],
    ids=["halted", "expired", "not selected any more"],
)
def test_an_instrument_that_owes_nothing_is_not_late(
    connection: Connection, bus: Redis, tmp_path: Path, selection: Path, change: str
) -> None:
    told(bus, 1.0, 0.0)
    selection.write_text(selection.read_text().replace('"*"', '"BTC*"'))
    traded(connection)
    later = LAST + 3600 * SECOND
    assert only(asked(connection, bus, tmp_path, selection, later)).late
    connection.execute(f"UPDATE instrument SET {change}")
    assert only(asked(connection, bus, tmp_path, selection, later)).late == []


def test_without_a_readable_selection_every_instrument_counts(
    connection: Connection, bus: Redis, tmp_path: Path
) -> None:
    told(bus, 1.0, 0.0)
    traded(connection, ["B", "A"])
    late = only(asked(connection, bus, tmp_path, tmp_path / "none", LAST + 3600 * SECOND)).late
    assert [one.symbol for one in late] == ["A", "B"]


def test_a_redis_that_is_away_is_part_of_the_answer(
    connection: Connection, tmp_path: Path, selection: Path
) -> None:
    with Redis(unix_socket_path=str(tmp_path / "none")) as bus:
        health = asked(connection, bus, tmp_path, selection)
    assert health.redis_error.startswith("Redis does not answer")
    assert health.streams == []

"""One screen's worth of how the platform is: asked, never cached."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import psycopg
import redis

from trade_platform.adapters.bus import latest_key
from trade_platform.adapters.children import LEADER, running
from trade_platform.adapters.database.overview import (
    GapCounts,
    HeldTrades,
    StateOfExchange,
    candle_counts,
    exchange_states,
    gap_and_dead_letter_counts,
    held_trades,
    number_count,
    stream_positions,
)
from trade_platform.adapters.loopback import LoopbackError, get_json
from trade_platform.adapters.process import Run
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    pid: int
    healthy: bool
    detail: str


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far the stored position is behind the newest entry of a stream."""

    stream: str
    length: int
    behind_seconds: float
    """By the entries' own times; 0 when everything is stored."""
    stored: bool
    """The newest entry is stored."""


class InstrumentStatus(msgspec.Struct, frozen=True, kw_only=True):
    trades: HeldTrades
    last_price: str
    """Close of the running candle, else the last price that a ticker told; empty when neither is fresh."""
    age_seconds: float | None = None
    """Market seconds since the newest of what is recorded of it was received."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    processes: list[ProcessStatus]
    streams: list[StreamStatus]
    instruments: list[InstrumentStatus]
    states: list[StateOfExchange]
    candles: int
    exchange_candles: int
    numbers: int
    """Quotes, tickers, marks, funding, greeks …: one row a measurement."""
    gaps: int
    """Ever noted; where they stand: ``ledger``."""
    dead_letters: int
    ledger: GapCounts = GapCounts()

    @property
    def good(self) -> bool:
        return all(process.healthy for process in self.processes) and not self.dead_letters


def read_status(
    connection: psycopg.Connection, bus: redis.Redis, data_folder: Path, market_time: int | None = None
) -> Status:
    """Ask PostgreSQL, Redis and every process of the data folder.

    ``market_time``: where whoever asks knows the market's clock; it is guessed from the data otherwise.
    """
    candles, exchange_candles = candle_counts(connection)
    ledger, dead_letters = gap_and_dead_letter_counts(connection)
    held = held_trades(connection)
    now = _market_time(held) if market_time is None else market_time
    return Status(
        processes=[_process_status(record) for record in running(data_folder) if record.name != LEADER],
        streams=read_streams(connection, bus),
        instruments=[
            InstrumentStatus(trades=one, last_price=price, age_seconds=_age(one, now))
            for one, price in zip(held, _last_prices(bus, held), strict=True)
        ],
        states=exchange_states(connection),
        candles=candles,
        exchange_candles=exchange_candles,
        numbers=number_count(connection),
        gaps=ledger.noted,
        dead_letters=dead_letters,
        ledger=ledger,
    )


def _market_time(held: list[HeldTrades]) -> int:
    """The machine's clock; of a simulated or replayed market, which has its own, the newest that is held."""
    now = time.time_ns() // 1000
    newest = max((one.newest for one in held if one.newest is not None), default=now)
    return now if now - DAY < newest < now + MINUTE else newest


def _age(one: HeldTrades, now: int) -> float | None:
    return None if one.newest is None else max(now - one.newest, 0) / MICROSECONDS


def read_streams(connection: psycopg.Connection, bus: redis.Redis) -> list[StreamStatus]:
    """Every stream of the bus with its stored position."""
    positions = {one.stream: one.entry_id for one in stream_positions(connection)}
    found_keys = (bus.scan_iter(match=one, count=1000) for one in ("market:*", "account:*"))
    names = sorted({_text(key) for keys in found_keys for key in keys} | {"state"})
    found = []
    for name in names:
        newest = bus.xrevrange(name, count=1)
        if not newest:
            continue
        newest_id = _text(newest[0][0])
        stored_id = positions.get(name, "0-0")
        behind = max(_milliseconds(newest_id) - _milliseconds(stored_id), 0) / 1000
        found.append(
            StreamStatus(
                stream=name,
                length=int(bus.xlen(name)),
                behind_seconds=0.0 if stored_id == newest_id else behind,
                stored=_order(stored_id) >= _order(newest_id),
            )
        )
    return found


def _last_prices(bus: redis.Redis, held: list[HeldTrades]) -> list[str]:
    pipeline = bus.pipeline(transaction=False)
    for one in held:
        pipeline.hmget(latest_key(one.exchange, one.symbol), "candle", "last_price")
    return [_price(candle, last) for candle, last in pipeline.execute()] if held else []


def _price(candle: bytes | None, last: bytes | None) -> str:
    if candle:
        close = msgspec.json.decode(candle, type=dict[str, object]).get("close")
        if close is not None:
            return str(close)
    return last.decode() if last else ""


def _process_status(record: Run) -> ProcessStatus:
    name, pid = record.name, record.pid
    if not record.metrics:
        page = record.urls.get("page", {}).get("http", "")
        return ProcessStatus(name=name, pid=pid, healthy=True, detail=page)
    try:
        health = get_json(f"{record.metrics}/healthz", timeout_seconds=1.0)
    except LoopbackError as error:
        return ProcessStatus(name=name, pid=pid, healthy=False, detail=str(error))
    return ProcessStatus(
        name=name, pid=pid, healthy=bool(health.get("ok", False)), detail=str(health.get("reason") or "")
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _milliseconds(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)

"""Health in Dagster's words: what is reported of each asset, and how its checks stand. No clock, no store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import dagster as dg
import msgspec

from trade_platform.adapters.database.freshness import RecordedTrades
from trade_platform.adapters.stream_health import StreamHealth
from trade_platform.defs.live.assets import STATE, connection_key, stream_key, table_key
from trade_platform.domain.delivery import Delivery
from trade_platform.domain.model import MICROSECONDS
from trade_platform.operations.health import LAG_SECONDS, ExchangeHealth, Health

DELIVERING: Final = "delivering"
LAG: Final = "lag"
NO_DEAD_LETTERS: Final = "no_dead_letters"
NO_OPEN_GAPS: Final = "no_open_gaps"
FRESH: Final = "fresh_by_instrument"
MOST_ROWS: Final = 20
"""Of a table in metadata."""
OLD_GAP_SECONDS: Final = 120.0
"""A gap that is open for longer is no repair under way."""
RESTING: Final = ("instrument", "instrument_state", "exchange_state", "liquidation")
"""Tables that may rest for days: they are as they should be while all that came is stored."""
FLOW_SECONDS: Final = 300.0
"""Market seconds within which a table that never rests gets a row."""

Value: TypeAlias = float | int | str | dg.MetadataValue[Any]


class Report(msgspec.Struct, frozen=True):
    """What is said of one asset."""

    key: dg.AssetKey
    flows: bool
    """Data came since the last heartbeat: it is as good as a materialisation."""
    state: str
    """Told at once when it changes."""
    metadata: Mapping[str, Value]


class Verdict(msgspec.Struct, frozen=True):
    """How one check of one asset stands."""

    key: dg.AssetKey
    check: str
    grade: Literal["good", "warn", "bad"]
    words: str
    detail: str = ""
    """With the grade, what makes it another state."""
    metadata: Mapping[str, Value] = {}

    @property
    def state(self) -> str:
        """Told when it changes."""
        return f"{self.grade} {self.detail}".strip()

    def result(self) -> dg.AssetCheckResult:
        """For a run that a person asked for."""
        return dg.AssetCheckResult(
            passed=self.grade == "good",
            asset_key=self.key,
            check_name=self.check,
            description=self.words,
            severity=self.severity,
            metadata=self.metadata,
        )

    def evaluation(self) -> dg.AssetCheckEvaluation:
        """Without a run."""
        return dg.AssetCheckEvaluation(
            asset_key=self.key,
            check_name=self.check,
            passed=self.grade == "good",
            description=self.words,
            severity=self.severity,
            metadata=self.metadata,
        )

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        return dg.AssetCheckSeverity.ERROR if self.grade == "bad" else dg.AssetCheckSeverity.WARN


def reports(health: Health) -> Iterator[Report]:
    """Of every asset of which anything is known now."""
    for exchange in health.exchanges:
        yield _connection(exchange)
    for stream in health.streams:
        yield _stream(stream, health)
    yield from _tables(health)


def verdicts(health: Health) -> Iterator[Verdict]:
    """Of every check of which anything is known now."""
    for exchange in health.exchanges:
        yield _delivering(exchange)
    for stream in health.streams:
        yield _lag(stream)
    if health.redis_error:
        yield Verdict(STATE, LAG, "bad", health.redis_error, detail="Redis")
    yield _dead_letters(health)
    yield _open_gaps(health)
    if health.trades:
        yield _fresh(health)


# --- what is reported ---


def _connection(one: ExchangeHealth) -> Report:
    metadata: dict[str, Value] = {
        "state": one.delivery.value,
        "exchange says": f"{one.status.value} ({one.reason})" if one.reason else one.status.value,
        "batches a second": round(one.batches_a_second, 2),
        "trades a minute": one.trades_a_minute,
        "instruments": len(one.trades),
        "instruments late": len(one.late),
    }
    if one.age_seconds is not None:
        metadata["newest message age (s)"] = round(one.age_seconds, 3)
    return Report(
        connection_key(one.exchange),
        one.delivery is Delivery.DELIVERING,
        f"{one.delivery.value} {one.status.value}",
        metadata,
    )


def _stream(one: StreamHealth, health: Health) -> Report:
    metadata: dict[str, Value] = {
        "processor behind (s)": round(one.lag_seconds, 3),
        "entries": one.length,
        "batches a second": round(one.batches_a_second, 2),
    }
    if one.age_seconds is not None:
        metadata["newest entry age (s)"] = round(one.age_seconds, 3)
    delivering = {stream_key(f"market:{e.exchange}"): e.delivery for e in health.exchanges}
    key = stream_key(one.stream)
    rests = key == STATE and one.lag_seconds <= LAG_SECONDS  # nothing comes where nothing changes
    flows = rests or delivering.get(key) is Delivery.DELIVERING
    return Report(key, flows, "late" if one.lag_seconds > LAG_SECONDS else "level", metadata)


def _tables(health: Health) -> Iterator[Report]:
    trades = health.trades
    if trades:
        newest = _newest(health, (one.newest for one in trades))
        yield _table("trade", newest, {"trades a minute": sum(one.minute for one in trades)})
        yield _table("coverage", newest, _coverage(health))
        minutes = _newest(health, (one.candle for one in trades))
        yield _table("candle", None if minutes is None else minutes - 60, {"instruments": len(trades)})
    heard = [one for exchange in health.exchanges for one in exchange.heard]
    if heard:
        channels: dict[str, Value] = {
            f"{one.exchange} {one.channel} age (s)": round((health.market_time - one.until) / MICROSECONDS, 1)
            for one in heard
        }
        yield _table("number", _newest(health, (one.until for one in heard)), channels)
    level = bool(health.streams) and all(one.lag_seconds <= LAG_SECONDS for one in health.streams)
    yield Report(table_key("gap"), level, str(bool(health.gaps)), _gap_numbers(health))
    letters = sum(one.count for one in health.letters)
    yield Report(table_key("dead_letter"), level, str(letters.bit_length()), {"letters": letters})
    for name in RESTING:
        yield Report(table_key(name), level, "level" if level else "late", {})


def _table(name: str, age: float | None, metadata: Mapping[str, Value]) -> Report:
    """``age``: market seconds since its newest row was to be had."""
    flows = age is not None and age <= FLOW_SECONDS
    ages: dict[str, Value] = {} if age is None else {"newest row age (s)": round(max(age, 0.0), 1)}
    return Report(table_key(name), flows, "flows" if flows else "rests", {**ages, **metadata})


def _newest(health: Health, times: Iterator[int | None]) -> float | None:
    newest = max((at for at in times if at is not None), default=None)
    return None if newest is None else (health.market_time - newest) / MICROSECONDS


def _coverage(health: Health) -> dict[str, Value]:
    held, missing = (sum(getattr(one, name) for one in health.exchanges) for name in ("held", "missing"))
    return {
        "held": held,
        "missing": missing,
        "coverage (%)": round(100 * held / (held + missing), 6) if held else 0.0,
        "most broken instrument (ranges)": max(one.ranges for one in health.trades),
    }


def _gap_numbers(health: Health) -> dict[str, Value]:
    open_: dict[str, Value] = {f"open at {one.exchange or 'all'}": one.open for one in health.gaps}
    return {
        "open": sum(one.open for one in health.gaps),
        "oldest open (s)": round(max((one.oldest_seconds for one in health.gaps), default=0.0), 1),
        "given up in 24 h": health.lost_today,
        **open_,
    }


# --- how the checks stand ---


def _delivering(one: ExchangeHealth) -> Verdict:
    since = "" if one.age_seconds is None else f" for {one.age_seconds:.0f} s"
    words = {
        Delivery.DELIVERING: "Messages come.",
        Delivery.SILENT: f"Nothing came{since}: ask the exchange's status, and the streamer's log.",
        Delivery.STOPPED: f"No process of its streamer lives, and nothing came{since}: start it again.",
        Delivery.CLOSED: f"The exchange says that it is closed ({one.status.value}, {one.reason}).",
    }[one.delivery]
    grade: Mapping[Delivery, Literal["good", "warn", "bad"]] = {
        Delivery.DELIVERING: "good",
        Delivery.CLOSED: "warn",
    }
    return Verdict(
        *(connection_key(one.exchange), DELIVERING, grade.get(one.delivery, "bad"), words),
        detail=one.delivery.value,
        metadata={
            "state": one.delivery.value,
            "age (s)": round(one.age_seconds or 0.0, 1),
            "patience (s)": round(one.patience_seconds, 1),
        },
    )


def _lag(one: StreamHealth) -> Verdict:
    metadata = {"behind (s)": round(one.lag_seconds, 3)}
    if one.lag_seconds <= LAG_SECONDS:
        return Verdict(stream_key(one.stream), LAG, "good", "What came is stored.", metadata=metadata)
    words = (
        f"An entry of {one.stream} waits for {one.lag_seconds:.0f} s: its processor is behind, or stopped."
    )
    return Verdict(stream_key(one.stream), LAG, "bad", words, metadata=metadata)


def _dead_letters(health: Health) -> Verdict:
    count = sum(one.count for one in health.letters)
    if not count:
        return Verdict(table_key("dead_letter"), NO_DEAD_LETTERS, "good", "Everything could be stored.")
    rows = [
        dg.TableRecord({"stream": one.stream, "error": one.error, "letters": one.count})
        for one in health.letters
    ]
    return Verdict(
        *(table_key("dead_letter"), NO_DEAD_LETTERS, "bad"),
        f"{count:,} records could not be stored: read their errors, mend the cause, then delete the rows.",
        detail=f"below {1 << count.bit_length():,}",  # not each one is news
        metadata={"letters": count, "errors": dg.MetadataValue.table(rows)},
    )


def _open_gaps(health: Health) -> Verdict:
    count = sum(one.open for one in health.gaps)
    if not count:
        return Verdict(table_key("gap"), NO_OPEN_GAPS, "good", "Nothing is missing that can be had.")
    oldest = max(one.oldest_seconds for one in health.gaps)
    old = oldest > OLD_GAP_SECONDS
    return Verdict(
        *(table_key("gap"), NO_OPEN_GAPS, "bad" if old else "warn"),
        f"{count:,} gaps are open, the oldest for {oldest:,.0f} s: `trade-platform gaps` says why.",
        detail=", ".join(one.exchange or "all exchanges" for one in health.gaps),
        metadata=_gap_numbers(health),
    )


def _fresh(health: Health) -> Verdict:
    late = [one for exchange in health.exchanges for one in exchange.late]
    metadata: dict[str, Value] = {"instruments": len(health.trades), "late": len(late)}
    if not late:
        oldest = sorted(health.trades, key=lambda one: one.told or 0)[:MOST_ROWS]
        metadata["oldest"] = _named(oldest, health)
        return Verdict(table_key("trade"), FRESH, "good", "No instrument is late.", metadata=metadata)
    metadata["oldest"] = _named(late[:MOST_ROWS], health)
    whole = [one.exchange for one in health.exchanges if one.late and len(one.late) == len(one.trades)]
    return Verdict(
        *(table_key("trade"), FRESH, "bad" if whole else "warn"),
        f"{len(late):,} of {len(health.trades):,} instruments are late, by the rhythm of their own trades.",
        detail=", ".join(sorted({one.exchange for one in late})),
        metadata=metadata,
    )


def _named(instruments: list[RecordedTrades], health: Health) -> dg.MetadataValue[Any]:
    rows = [
        dg.TableRecord(
            {
                "instrument": f"{one.exchange}/{one.symbol}",
                "silent (s)": round((health.market_time - (one.told or 0)) / MICROSECONDS, 1),
                "trades held": one.held,
            }
        )
        for one in instruments
    ]
    return dg.MetadataValue.table(rows)

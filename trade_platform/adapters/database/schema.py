"""The tables, as SQLAlchemy Core metadata. Migrations build the same database; ``migrate --check`` proves it.

Prices, quantities and values are ``numeric`` without precision: what the exchange sent, exactly. Times
are ``timestamptz``. Units, sides and sources of every field: ``docs/semantics.md``. ``trade`` and
``number`` carry no foreign key: a check per row would cost more than the row.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, TSTZMULTIRANGE

PARTITIONED: Final = ("trade", "number")
"""Partitioned by UTC day of event_time: ``trade_20261122``."""

metadata: Final = MetaData()
side: Final = Enum("buy", "sell", name="side", metadata=metadata)
_UPDATED_IN_PLACE: Final = {"fillfactor": 50}
"""Half of each page stays free: a row that is updated all day long finds room on its own page (HOT)."""


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _stamp(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


def _word(name: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=nullable, server_default=default)


def _amount(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Numeric, nullable=nullable)


def _count(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _instrument() -> Column[int]:
    return Column("instrument_id", Integer, ForeignKey("instrument.instrument_id"), nullable=False)


instrument: Final = Table(
    "instrument",
    metadata,
    Column("instrument_id", Integer, Identity(), primary_key=True),
    _word("exchange"),
    _word("symbol"),
    _word("kind", default="unknown"),
    _word("status", default=""),
    _word("base", default=""),
    _word("quote", default=""),
    _word("settlement", default=""),
    _word("quantity_unit", default="base"),
    _amount("tick_size", nullable=True),
    _amount("quantity_step", nullable=True),
    _amount("contract_size", nullable=True),
    _moment("expiry", nullable=True),
    _amount("strike", nullable=True),
    _word("option_type", nullable=True),
    _word("index_name", nullable=True),
    _stamp("first_seen"),
    _stamp("updated_at"),
    UniqueConstraint("exchange", "symbol", name="instrument_exchange_symbol_key"),
)

trade: Final = Table(
    "trade",
    metadata,
    Column("instrument_id", Integer, nullable=False),
    _moment("event_time"),
    _count("sequence"),
    _amount("price"),
    _amount("quantity"),
    Column("side", side, nullable=False),
    _count("first_id"),
    _count("last_id"),
    Column("flags", SmallInteger, nullable=False),
    _word("trade_id", nullable=True),
    _amount("mark_price", nullable=True),
    _amount("index_price", nullable=True),
    _amount("iv", nullable=True),
    _moment("receive_time"),
    PrimaryKeyConstraint("instrument_id", "event_time", "sequence", name="trade_pkey"),
    # NaN compares above infinity: one comparison refuses both.
    CheckConstraint(
        "price < 'Infinity' AND price > '-Infinity' AND quantity < 'Infinity' AND quantity >= 0",
        name="trade_finite_check",
    ),
    postgresql_partition_by="RANGE (event_time)",
)

candle: Final = Table(
    "candle",
    metadata,
    _instrument(),
    _word("interval"),
    _moment("open_time"),
    _word("source"),
    _amount("open", nullable=True),
    _amount("high", nullable=True),
    _amount("low", nullable=True),
    _amount("close", nullable=True),
    _amount("volume"),
    _amount("quote_volume"),
    _count("trades", nullable=True),
    _amount("taker_buy_volume", nullable=True),
    _amount("taker_buy_quote_volume", nullable=True),
    _count("first_id", nullable=True),
    _count("last_id", nullable=True),
    Column("complete", Boolean, nullable=False),
    _moment("event_time", nullable=True),
    _moment("receive_time"),
    Column("blocks_only", Boolean, nullable=False, server_default="false"),
    PrimaryKeyConstraint("instrument_id", "interval", "open_time", "source", name="candle_pkey"),
    CheckConstraint("source IN ('trade', 'exchange')", name="candle_source_check"),
    CheckConstraint(
        "volume < 'Infinity' AND quote_volume < 'Infinity' AND low > '-Infinity' AND high < 'Infinity'",
        name="candle_finite_check",
    ),
)

rollup_due: Final = Table(
    "rollup_due",
    metadata,
    Column("instrument_id", Integer, nullable=False),
    _word("interval"),
    _moment("open_time"),
)
"""Candles that changed since the wider ones that hold them were made; a queue, without a key."""

metric: Final = Table(
    "metric",
    metadata,
    Column("metric_id", SmallInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

number: Final = Table(
    "number",
    metadata,
    Column("instrument_id", Integer, nullable=False),
    Column("metric_id", SmallInteger, nullable=False),
    _moment("event_time"),
    _count("update"),
    _amount("value"),
    _moment("receive_time"),
    PrimaryKeyConstraint("instrument_id", "metric_id", "event_time", "update", name="number_pkey"),
    CheckConstraint("value < 'Infinity' AND value > '-Infinity'", name="number_finite_check"),
    postgresql_partition_by="RANGE (event_time)",
)

liquidation: Final = Table(
    "liquidation",
    metadata,
    _instrument(),
    _moment("event_time"),
    Column("side", side, nullable=False),
    _amount("price"),
    _amount("average_price"),
    _amount("quantity"),
    _amount("filled"),
    _word("status"),
    _moment("receive_time"),
    PrimaryKeyConstraint(
        *("instrument_id", "event_time", "side", "price", "average_price", "quantity", "filled", "status"),
        name="liquidation_pkey",
    ),
)

instrument_state: Final = Table(
    "instrument_state",
    metadata,
    _instrument(),
    _moment("event_time"),
    _word("status"),
    _moment("receive_time"),
    PrimaryKeyConstraint("instrument_id", "event_time", "status", name="instrument_state_pkey"),
)

exchange_state: Final = Table(
    "exchange_state",
    metadata,
    _word("exchange"),
    _word("scope"),
    _moment("event_time"),
    _word("status"),
    _word("reason"),
    _moment("receive_time"),
    PrimaryKeyConstraint("exchange", "scope", "event_time", "status", "reason", name="exchange_state_pkey"),
)

gap: Final = Table(
    "gap",
    metadata,
    Column("gap_id", BigInteger, Identity(), primary_key=True),
    _word("exchange"),
    _word("symbol", nullable=True),
    _word("channel", nullable=True),
    _word("reason"),
    _count("first_sequence", nullable=True),
    _count("last_sequence", nullable=True),
    _moment("since"),
    _moment("until", nullable=True),
    _word("detail", default=""),
    _stamp("detected_at"),
    _word("state", default="open"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _moment("attempted_at", nullable=True),
    _moment("closed_at", nullable=True),
    _word("repaired_by", nullable=True),
    _word("verdict", default=""),
    Column("remaining", INT8MULTIRANGE, nullable=True),
    CheckConstraint("state IN ('open', 'repaired', 'unrepairable')", name="gap_state_check"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="gap_closed_check"),
    UniqueConstraint(
        *("exchange", "symbol", "channel", "reason", "first_sequence", "last_sequence", "since", "until"),
        "detail",
        name="gap_natural_key",
        postgresql_nulls_not_distinct=True,
    ),
    Index("gap_since_idx", "since"),
    Index("gap_open_idx", "gap_id", postgresql_where=text("state = 'open'")),
    Index(
        *("gap_numbers_idx", "exchange", "symbol", "channel"),
        postgresql_where=text("first_sequence IS NOT NULL AND state <> 'repaired'"),
    ),
    Index("gap_detected_idx", "detected_at"),
)

control_total: Final = Table(
    "control_total",
    metadata,
    _instrument(),
    _word("interval"),
    _moment("open_time"),
    _word("field"),
    _amount("ours", nullable=True),
    _amount("theirs", nullable=True),
    _word("class"),
    _word("explanation", default=""),
    _stamp("first_seen"),
    _stamp("last_seen"),
    PrimaryKeyConstraint("instrument_id", "interval", "open_time", "field", name="control_total_pkey"),
    CheckConstraint("class IN ('equal', 'explained', 'open')", name="control_total_class_check"),
    Index("control_total_open_idx", "open_time", postgresql_where=text("class = 'open'")),
)

control_day: Final = Table(
    "control_day",
    metadata,
    _instrument(),
    Column("day", Date, nullable=False),
    *(
        Column(name, Integer, nullable=False)
        for name in ("compared", "equal", "explained", "open", "missing_ours", "missing_theirs", "fillers")
    ),
    _moment("asked_until", nullable=True),
    _stamp("compared_at"),
    _moment("closed_at", nullable=True),
    PrimaryKeyConstraint("instrument_id", "day", name="control_day_pkey"),
    CheckConstraint("compared = equal + explained + open", name="control_day_sum_check"),
)

dead_letter: Final = Table(
    "dead_letter",
    metadata,
    _word("stream"),
    _word("entry_id"),
    Column("position", Integer, nullable=False),
    _word("kind", default=""),
    _word("exchange", default=""),
    Column("data", LargeBinary, nullable=False),
    _word("error"),
    _stamp("at"),
    PrimaryKeyConstraint("stream", "entry_id", "position", name="dead_letter_pkey"),
)

coverage: Final = Table(
    "coverage",
    metadata,
    Column("instrument_id", Integer, nullable=False),
    _word("channel"),
    Column("day", Date, nullable=False),
    Column("held", INT8MULTIRANGE, nullable=False),
    PrimaryKeyConstraint("instrument_id", "channel", "day", name="coverage_pkey"),
    postgresql_with=_UPDATED_IN_PLACE,
)

time_coverage: Final = Table(
    "time_coverage",
    metadata,
    Column("instrument_id", Integer, nullable=False),
    _word("channel"),
    Column("day", Date, nullable=False),
    Column("held", TSTZMULTIRANGE, nullable=False),
    PrimaryKeyConstraint("instrument_id", "channel", "day", name="time_coverage_pkey"),
    postgresql_with=_UPDATED_IN_PLACE,
)

stream_position: Final = Table(
    "stream_position",
    metadata,
    Column("stream", Text, primary_key=True),
    _word("entry_id"),
    _stamp("updated_at"),
    postgresql_with=_UPDATED_IN_PLACE,
)

producer_position: Final = Table(
    "producer_position",
    metadata,
    _word("stream"),
    _word("producer"),
    _count("n"),
    _moment("unbroken_since", nullable=True),
    _moment("seen_at"),
    PrimaryKeyConstraint("stream", "producer", name="producer_position_pkey"),
    postgresql_with=_UPDATED_IN_PLACE,
)

partition_day: Final = Table(
    "partition_day",
    metadata,
    _word("relation"),
    Column("day", Date, nullable=False),
    _stamp("loaded_at"),
    PrimaryKeyConstraint("relation", "day", name="partition_day_pkey"),
)

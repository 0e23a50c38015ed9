"""The tables of reconciliation; migration 7 makes the same. All are private: row-level security is forced.

``reconciliation`` is one row a run and account: what each subject came to. ``discrepancy`` is one row a
difference that was raised, under a name that is the same whenever it is found again. ``suspense`` holds what
cannot be matched, with its age; ``statement_day`` what a day did to each asset of an account.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.schema import SchemaItem

from trade_platform.adapters.database.schema import metadata

SUBJECTS: Final = ("open_orders", "orders", "fills", "positions", "balances", "movements", "wallet")


def _word(name: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=nullable, server_default=default)


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _amount(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Numeric, nullable=nullable)


def _count(name: str, default: str | None = None) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=default)


def _private(name: str, key: tuple[str, ...], *items: SchemaItem) -> Table:
    """A table of an account's rows, whose key begins with whose they are."""
    owner = ("tenant_id", "account_id")
    return Table(
        name,
        metadata,
        Column("tenant_id", UUID, nullable=False),
        Column("account_id", Integer, nullable=False),
        *items,
        PrimaryKeyConstraint(*owner, *key, name=f"{name}_pkey"),
        ForeignKeyConstraint(owner, ["account.tenant_id", "account.account_id"], name=f"{name}_account_fkey"),
    )


reconciliation: Final = _private(
    "reconciliation",
    ("at",),
    _moment("at"),
    _moment("since"),
    _moment("until"),
    _word("occasion"),
    *(_word(subject) for subject in SUBJECTS),
    *(_count(name) for name in ("compared", "skipped", "raised", "healed", "pending")),
    Column("words", ARRAY(Text), nullable=False),
    Column("finished_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
)
"""``words``: sentences about what was not answered, or lies beyond the exchange's memory."""

discrepancy: Final = _private(
    "discrepancy",
    ("discrepancy_id",),
    Column("discrepancy_id", UUID, nullable=False),
    _word("subject"),
    _word("key"),
    _word("kind"),
    _word("field"),
    _word("ours", nullable=True),
    _word("theirs", nullable=True),
    _amount("money", nullable=True),
    _word("severity"),
    _word("state", default="open"),
    _word("reason", default=""),
    _moment("row_time", nullable=True),
    _moment("first_seen"),
    _moment("last_seen"),
    _moment("closed_at", nullable=True),
    _count("times", "1"),
    CheckConstraint("state IN ('open', 'healed', 'explained', 'manual')", name="discrepancy_state_check"),
    CheckConstraint("(closed_at IS NULL) = (state IN ('open', 'manual'))", name="discrepancy_closed_check"),
    Index(
        *("discrepancy_open_idx", "tenant_id", "account_id"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)
"""``row_time``: from when it is; it is over where a run that reaches back so far does not find it any more.
``manual``: adding what the exchange told does not heal it; a person must decide.
"""

suspense: Final = _private(
    "suspense",
    ("key",),
    _word("key"),
    _word("asset"),
    _amount("amount"),
    _word("reason"),
    _moment("since"),
    _moment("first_seen"),
    _moment("last_seen"),
    _moment("closed_at", nullable=True),
)

statement_day: Final = _private(
    "statement_day",
    ("day", "asset"),
    Column("day", Date, nullable=False),
    _word("asset"),
    _amount("opening"),
    *(_amount(name) for name in ("trading", "fees", "funding", "transfers", "other", "rest")),
    _amount("closing"),
    _amount("equity"),
    _amount("price", nullable=True),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
)
"""opening + trading + fees + funding + transfers + other + rest = closing; ``price``: USD at its end."""

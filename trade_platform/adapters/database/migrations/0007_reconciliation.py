"""Reconciliation: what runs found, what differs, what cannot be matched, and what each day did."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE reconciliation (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    occasion text NOT NULL,
    open_orders text NOT NULL,
    orders text NOT NULL,
    fills text NOT NULL,
    positions text NOT NULL,
    balances text NOT NULL,
    movements text NOT NULL,
    wallet text NOT NULL,
    compared integer NOT NULL,
    skipped integer NOT NULL,
    raised integer NOT NULL,
    healed integer NOT NULL,
    pending integer NOT NULL,
    words text[] NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reconciliation_pkey PRIMARY KEY (tenant_id, account_id, at),
    CONSTRAINT reconciliation_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);

CREATE TABLE discrepancy (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    discrepancy_id uuid NOT NULL,
    subject text NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    field text NOT NULL,
    ours text,
    theirs text,
    money numeric,
    severity text NOT NULL,
    state text NOT NULL DEFAULT 'open',
    reason text NOT NULL DEFAULT '',
    row_time timestamptz,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    closed_at timestamptz,
    times integer NOT NULL DEFAULT 1,
    CONSTRAINT discrepancy_pkey PRIMARY KEY (tenant_id, account_id, discrepancy_id),
    CONSTRAINT discrepancy_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id),
    CONSTRAINT discrepancy_state_check CHECK (state IN ('open', 'healed', 'explained', 'manual')),
    CONSTRAINT discrepancy_closed_check CHECK ((closed_at IS NULL) = (state IN ('open', 'manual')))
);
CREATE INDEX discrepancy_open_idx ON discrepancy (tenant_id, account_id) WHERE closed_at IS NULL;

CREATE TABLE suspense (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    key text NOT NULL,
    asset text NOT NULL,
    amount numeric NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT suspense_pkey PRIMARY KEY (tenant_id, account_id, key),
    CONSTRAINT suspense_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);

CREATE TABLE statement_day (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    day date NOT NULL,
    asset text NOT NULL,
    opening numeric NOT NULL,
    trading numeric NOT NULL,
    fees numeric NOT NULL,
    funding numeric NOT NULL,
    transfers numeric NOT NULL,
    other numeric NOT NULL,
    rest numeric NOT NULL,
    closing numeric NOT NULL,
    equity numeric NOT NULL,
    price numeric,
    made_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT statement_day_pkey PRIMARY KEY (tenant_id, account_id, day, asset),
    CONSTRAINT statement_day_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);
"""

PRIVACY = """
SELECT keep_private(one) FROM unnest(ARRAY[
    'reconciliation', 'discrepancy', 'suspense', 'statement_day'
]::regclass[]) AS one;
"""


def upgrade() -> None:
    for statements in (TABLES, PRIVACY):
        op.execute(statements)

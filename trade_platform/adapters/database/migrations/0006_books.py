"""The books of accounts: what happened to orders and money, and what follows from it."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

ORDERS = """
CREATE TABLE order_event (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    symbol text NOT NULL,
    order_id text NOT NULL,
    state text NOT NULL,
    status text NOT NULL,
    event text NOT NULL,
    side side NOT NULL,
    order_type text NOT NULL,
    quantity numeric NOT NULL,
    filled numeric NOT NULL,
    event_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    price numeric,
    trigger_price numeric,
    average_price numeric,
    time_in_force text NOT NULL,
    client_id text NOT NULL,
    label text NOT NULL,
    parent_id text NOT NULL,
    created timestamptz,
    reduce_only boolean NOT NULL,
    post_only boolean NOT NULL,
    liquidation boolean NOT NULL,
    reason text NOT NULL,
    position_side text NOT NULL,
    update bigint NOT NULL,
    origin text NOT NULL,
    CONSTRAINT order_event_pkey PRIMARY KEY
        (tenant_id, account_id, symbol, order_id, event_time, update, event, state, filled),
    CONSTRAINT order_event_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id),
    CONSTRAINT order_event_finite_check CHECK (quantity < 'Infinity' AND filled < 'Infinity')
);
CREATE INDEX order_event_time_idx ON order_event (tenant_id, account_id, event_time);

CREATE TABLE account_order (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    symbol text NOT NULL,
    order_id text NOT NULL,
    state text NOT NULL,
    status text NOT NULL,
    event text NOT NULL,
    side side NOT NULL,
    order_type text NOT NULL,
    quantity numeric NOT NULL,
    filled numeric NOT NULL,
    event_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    price numeric,
    trigger_price numeric,
    average_price numeric,
    time_in_force text NOT NULL,
    client_id text NOT NULL,
    label text NOT NULL,
    parent_id text NOT NULL,
    created timestamptz,
    reduce_only boolean NOT NULL,
    post_only boolean NOT NULL,
    liquidation boolean NOT NULL,
    reason text NOT NULL,
    position_side text NOT NULL,
    update bigint NOT NULL,
    origin text NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT account_order_pkey PRIMARY KEY (tenant_id, account_id, symbol, order_id),
    CONSTRAINT account_order_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);
CREATE INDEX account_order_waiting_idx ON account_order (tenant_id, account_id)
    WHERE state IN ('untriggered', 'open', 'unknown');
CREATE INDEX account_order_time_idx ON account_order (tenant_id, account_id, event_time);
"""

FILLS = """
CREATE TABLE fill (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    symbol text NOT NULL,
    fill_id text NOT NULL,
    order_id text NOT NULL,
    side side NOT NULL,
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    event_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    fee numeric,
    fee_asset text NOT NULL,
    maker boolean,
    realized_pnl numeric,
    quote_quantity numeric,
    sequence bigint,
    label text NOT NULL,
    position_side text NOT NULL,
    liquidation boolean NOT NULL,
    settlement boolean NOT NULL,
    combo boolean NOT NULL,
    origin text NOT NULL,
    CONSTRAINT fill_pkey PRIMARY KEY (tenant_id, account_id, symbol, fill_id, order_id),
    CONSTRAINT fill_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id),
    CONSTRAINT fill_finite_check CHECK (
        price < 'Infinity' AND price > '-Infinity' AND quantity < 'Infinity' AND quantity >= 0
    )
);
CREATE INDEX fill_time_idx ON fill (tenant_id, account_id, event_time);
CREATE INDEX fill_order_idx ON fill (tenant_id, account_id, symbol, order_id);

CREATE TABLE movement (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    movement_id text NOT NULL,
    kind text NOT NULL,
    word text NOT NULL,
    asset text NOT NULL,
    change numeric NOT NULL,
    event_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    balance numeric,
    symbol text NOT NULL,
    fill_id text NOT NULL,
    order_id text NOT NULL,
    fee numeric,
    funding numeric,
    sequence bigint,
    origin text NOT NULL,
    CONSTRAINT movement_pkey PRIMARY KEY (tenant_id, account_id, movement_id, asset),
    CONSTRAINT movement_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id),
    CONSTRAINT movement_finite_check CHECK (change < 'Infinity' AND change > '-Infinity')
);
CREATE INDEX movement_time_idx ON movement (tenant_id, account_id, event_time);
"""

_BALANCE = """
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    asset text NOT NULL,
    total numeric NOT NULL,
    event_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    available numeric,
    locked numeric,
    equity numeric,
    initial_margin numeric,
    maintenance_margin numeric,
    session_realized numeric,
    session_unrealized numeric,
    shared_margin boolean NOT NULL,
    origin text NOT NULL,
"""

_POSITION = """
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    symbol text NOT NULL,
    quantity numeric NOT NULL,
    event_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    position_side text NOT NULL,
    average_price numeric,
    mark_price numeric,
    liquidation_price numeric,
    unrealized_pnl numeric,
    realized_pnl numeric,
    initial_margin numeric,
    maintenance_margin numeric,
    margin_mode text NOT NULL,
    asset text NOT NULL,
    origin text NOT NULL,
"""

STANDINGS = f"""
CREATE TABLE balance ({_BALANCE}
    CONSTRAINT balance_pkey PRIMARY KEY (tenant_id, account_id, asset, event_time, total),
    CONSTRAINT balance_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id),
    CONSTRAINT balance_finite_check CHECK (total < 'Infinity' AND total > '-Infinity')
);

CREATE TABLE balance_now ({_BALANCE}
    CONSTRAINT balance_now_pkey PRIMARY KEY (tenant_id, account_id, asset),
    CONSTRAINT balance_now_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);

CREATE TABLE position ({_POSITION}
    CONSTRAINT position_pkey PRIMARY KEY (tenant_id, account_id, symbol, position_side, event_time, quantity),
    CONSTRAINT position_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id),
    CONSTRAINT position_finite_check CHECK (quantity < 'Infinity' AND quantity > '-Infinity')
);

CREATE TABLE position_now ({_POSITION}
    CONSTRAINT position_now_pkey PRIMARY KEY (tenant_id, account_id, symbol, position_side),
    CONSTRAINT position_now_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);
"""

NOTES = """
CREATE TABLE account_note (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    event_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    CONSTRAINT account_note_pkey PRIMARY KEY (tenant_id, account_id, kind, event_time, text),
    CONSTRAINT account_note_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);

CREATE TABLE blindness (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    since timestamptz NOT NULL,
    reason text NOT NULL,
    receive_time timestamptz NOT NULL,
    until timestamptz,
    CONSTRAINT blindness_pkey PRIMARY KEY (tenant_id, account_id, since),
    CONSTRAINT blindness_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);

CREATE TABLE book_conflict (
    tenant_id uuid NOT NULL,
    account_id integer NOT NULL,
    kind text NOT NULL,
    identity text NOT NULL,
    digest text NOT NULL,
    content text NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT book_conflict_pkey PRIMARY KEY (tenant_id, account_id, kind, identity, digest),
    CONSTRAINT book_conflict_account_fkey
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id)
);
"""

PRIVACY = """
SELECT keep_private(one) FROM unnest(ARRAY[
    'order_event', 'account_order', 'fill', 'movement', 'balance', 'balance_now', 'position', 'position_now',
    'account_note', 'blindness', 'book_conflict'
]::regclass[]) AS one;

REVOKE UPDATE, DELETE ON order_event FROM trade_platform_accounts;
"""
"""What happened to an order is never changed; who lets a tenant go does so as the tables' owner."""


def upgrade() -> None:
    for statements in (ORDERS, FILLS, STANDINGS, NOTES, PRIVACY):
        op.execute(statements)

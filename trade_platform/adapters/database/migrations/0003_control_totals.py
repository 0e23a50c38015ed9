"""Control totals: our minutes against the exchange's own, what differs and what was compared."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

UPGRADE = """
CREATE TABLE control_total (
    instrument_id integer NOT NULL REFERENCES instrument (instrument_id),
    interval text NOT NULL,
    open_time timestamptz NOT NULL,
    field text NOT NULL,
    ours numeric,
    theirs numeric,
    class text NOT NULL,
    explanation text NOT NULL DEFAULT '',
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT control_total_pkey PRIMARY KEY (instrument_id, interval, open_time, field),
    CONSTRAINT control_total_class_check CHECK (class IN ('equal', 'explained', 'open'))
);
CREATE INDEX control_total_open_idx ON control_total (open_time) WHERE class = 'open';

CREATE TABLE control_day (
    instrument_id integer NOT NULL REFERENCES instrument (instrument_id),
    day date NOT NULL,
    compared integer NOT NULL,
    equal integer NOT NULL,
    explained integer NOT NULL,
    open integer NOT NULL,
    missing_ours integer NOT NULL,
    missing_theirs integer NOT NULL,
    fillers integer NOT NULL,
    asked_until timestamptz,
    compared_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    CONSTRAINT control_day_pkey PRIMARY KEY (instrument_id, day),
    CONSTRAINT control_day_sum_check CHECK (compared = equal + explained + open)
);
"""


def upgrade() -> None:
    op.execute(UPGRADE)

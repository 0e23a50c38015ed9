"""Wider candles: which are to be made anew, and which minutes have no price of their own."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

UPGRADE = """
ALTER TABLE candle ADD COLUMN blocks_only boolean NOT NULL DEFAULT false;

CREATE TABLE rollup_due (
    instrument_id integer NOT NULL,
    interval text NOT NULL,
    open_time timestamptz NOT NULL
);

INSERT INTO rollup_due (instrument_id, interval, open_time)
SELECT DISTINCT instrument_id, '1m', date_bin('5 minutes', open_time, '1970-01-01 00:00:00+00')
FROM candle WHERE interval = '1m';
"""


def upgrade() -> None:
    op.execute(UPGRADE)

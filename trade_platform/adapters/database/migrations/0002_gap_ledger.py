"""The ledger of gaps: a gap has a life, from open to repaired or unrepairable."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

UPGRADE = """
ALTER TABLE gap RENAME COLUMN found_at TO detected_at;
ALTER TABLE gap
    ADD COLUMN state text NOT NULL DEFAULT 'open',
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN attempted_at timestamptz,
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN repaired_by text,
    ADD COLUMN verdict text NOT NULL DEFAULT '',
    ADD COLUMN remaining int8multirange,
    ADD CONSTRAINT gap_state_check CHECK (state IN ('open', 'repaired', 'unrepairable')),
    ADD CONSTRAINT gap_closed_check CHECK ((state = 'open') = (closed_at IS NULL));

CREATE INDEX gap_open_idx ON gap (gap_id) WHERE state = 'open';
CREATE INDEX gap_numbers_idx ON gap (exchange, symbol, channel)
    WHERE first_sequence IS NOT NULL AND state <> 'repaired';
CREATE INDEX gap_detected_idx ON gap (detected_at);
"""


def upgrade() -> None:
    op.execute(UPGRADE)

"""Redis to PostgreSQL: events and numbers."""

"""PostgreSQL: the schema, its migrations, and one writer module per kind of row."""

"""The platform: from the exchanges' sockets to PostgreSQL, complete and provably so."""

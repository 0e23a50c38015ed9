"""Everything that touches a socket or a file."""

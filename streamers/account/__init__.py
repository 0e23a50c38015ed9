"""The process of one account: its own socket, its own way to the bus. Read-only towards the exchange."""

"""Processes that hold exchange sockets and feed Redis. Nothing imports this package."""

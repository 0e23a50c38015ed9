"""Which servers' certificates are believed: those of the machine, and of one more authority."""

from __future__ import annotations

import ssl
from pathlib import Path

from trade_platform.adapters.process import CannotStart


def trust(ca_file: str) -> ssl.SSLContext | None:
    """The context of an extra authority (setting TLS_CA_FILE); None without one. Raises CannotStart."""
    if not ca_file:
        return None
    try:
        context = ssl.create_default_context()
        context.load_verify_locations(Path(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"TLS_CA_FILE names {ca_file}, which cannot be used ({error}).") from error
    return context

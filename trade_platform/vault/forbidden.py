"""Texts that the vault signs for nobody: this platform reads, and never trades or moves money.

A second line behind keys that may only read. It is not a complete one: some requests to cancel look like
questions once they are reduced to what is signed, and a login's signature opens whatever its key may do.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote

_ORDERING: Final = frozenset(
    {
        "address", "cancelrestrictions", "newclientorderid", "newclientstrategyid", "quantity",
        "quoteorderqty", "side", "toemail", "transfertype", "withdrawkey", "withdraworderid",
    }
)  # fmt: skip
"""Parameters that only a request has that orders, withdraws or transfers."""
_METHODS: Final = re.compile(
    r"/private/(?:buy|sell|edit|cancel|close_position|withdraw|cancel_withdrawal|submit_transfer|move_positions"
    r"|create_|execute_|verify_block_trade|add_to_address_book|change_|edit_|reset_|enable_|set_)"
)


def forbidden(text: str) -> str:
    """What in a text is not signed; empty where nothing is."""
    for name, _ in parse_qsl(text, keep_blank_values=True):
        if name.strip().lower() in _ORDERING:
            return f"the parameter {name.strip()[:40]!r}"
    found = _METHODS.search(unquote(text))
    return f"the method {found.group()[1:]!r}" if found else ""

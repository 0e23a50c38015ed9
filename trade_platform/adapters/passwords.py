"""What a server or a library says of a URL may repeat a piece of its password: it is not to be shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "***"
_SEPARATORS: Final = re.compile(r"[:/?#@&\[\]]")
"""Where a URL is cut whose password holds one of them as it is; the pieces turn up as host or port."""


def hide_password(text: str, url: str) -> str:
    """The text without any piece of the URL's password."""
    before_host = url.partition("://")[2].rpartition("@")[0]
    password = before_host.partition(":")[2]
    given = [password, *re.findall(r"[?&]password=([^&]*)", url)]
    pieces = {piece for one in given for form in (one, unquote(one)) for piece in _pieces(form)}
    for piece in sorted(pieces, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", HIDDEN, text)
    return text


def _pieces(password: str) -> list[str]:
    return [piece for piece in (password, *_SEPARATORS.split(password)) if piece]

"""Small JSON requests to processes of our own on this machine (simulator control, health)."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import msgspec


class LoopbackError(Exception):
    """A process of ours on this machine did not answer."""


def get_json(url: str, *, timeout_seconds: float = 2.0) -> dict[str, Any]:
    """GET a JSON object; raises LoopbackError. A 503 is an answer, too."""
    return _perform(urllib.request.Request(url), timeout_seconds)  # noqa: S310 - our own loopback URLs


def post_json(url: str, *, timeout_seconds: float = 10.0) -> dict[str, Any]:
    """POST without a body; the JSON object that comes back; raises LoopbackError."""
    return _perform(urllib.request.Request(url, data=b"", method="POST"), timeout_seconds)  # noqa: S310


def _perform(request: urllib.request.Request, timeout_seconds: float) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_seconds) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError as error:
        raise LoopbackError(f"{request.full_url} does not answer: {error}") from error
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise LoopbackError(f"{request.full_url} did not answer with JSON: {body[:80]!r}") from error

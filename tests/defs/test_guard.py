from __future__ import annotations

from typing import Any

import pytest

from trade_platform.defs.guard import Guard, allowed_hosts, objection

HOSTS = allowed_hosts(3000)
JSON = {"content-type": "application/json"}


def scope(
    method: str = "POST", path: str = "/graphql", *, query: str = "", kind: str = "http", **headers: str
) -> dict[str, Any]:
    named = {"host": "127.0.0.1:3000", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), text.encode()) for name, text in named.items() if text],
    }


@pytest.mark.parametrize(
    "request_",
    [
        scope(content_type="application/json", origin="http://127.0.0.1:3000"),
        scope(content_type="application/json; charset=utf-8"),
        scope(content_type="application/json", host="localhost:3000", origin="http://localhost:3000"),
        scope("GET", "/runs"),
        scope("GET", "/graphql"),
        scope("GET", "/graphql", kind="websocket", origin="http://127.0.0.1:3000"),
        scope("POST", "/report_asset_observation/a", content_type="application/json"),
    ],
)
def test_the_page_s_own_requests_pass(request_: dict[str, Any]) -> None:
    assert objection(request_, HOSTS) == ""


@pytest.mark.parametrize(
    "request_",
    [
        scope("GET", query="query=mutation"),
        scope("HEAD", query="query=mutation"),
        scope("GET", "/graphql/", query="query=mutation"),
        scope(),
        scope(content_type="text/plain"),
        scope(content_type="application/graphql"),
        scope(content_type="application/x-www-form-urlencoded"),
        scope(content_type="text/plain; application/json"),
        scope(content_type="application/json", origin="http://evil.example"),
        scope(content_type="application/json", origin="null"),
        scope(content_type="application/json", origin="http://127.0.0.1:3001"),
        scope(content_type="application/json", origin="http://127.0.0.1:3000.evil.example"),
        scope(content_type="application/json", host="evil.example:3000"),
        scope(content_type="application/json", host=""),
        scope("GET", "/", host="evil.example:3000"),
        scope("GET", "/graphql", kind="websocket"),
        scope("GET", "/graphql", kind="websocket", origin="http://evil.example"),
        scope("POST", "/report_asset_observation/a", content_type="text/plain"),
        scope("POST", "/report_asset_observation/a", origin="http://evil.example", content_type="a/b"),
    ],
)
def test_whatever_another_page_could_send_is_refused(request_: dict[str, Any]) -> None:
    assert objection(request_, HOSTS) != ""


def test_two_hosts_in_one_request_are_one_too_many() -> None:
    double = scope("GET", "/runs")
    double["headers"].append((b"host", b"evil.example:3000"))
    assert objection(double, HOSTS) != ""


async def answers(request_: dict[str, Any]) -> list[dict[str, Any]]:
    """What the guard sends; a page behind it that answers says so."""
    sent: list[dict[str, Any]] = []

    async def page(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "page"})

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await Guard(page, HOSTS)(request_, receive, send)
    return sent


async def test_what_passes_is_handed_on_and_what_does_not_is_answered_with_a_sentence() -> None:
    assert await answers(scope(content_type="application/json")) == [{"type": "page"}]
    assert await answers({"type": "lifespan"}) == [{"type": "page"}]
    start, body = await answers(scope("GET", query="query=mutation"))
    assert start["status"] == 403
    assert b"POST" in body["body"]
    (closed,) = await answers(scope("GET", kind="websocket", origin="http://evil.example"))
    assert closed["type"] == "websocket.close"

"""The web page, really started: what it serves itself works, what a foreign page sends does not."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.defs import trio
from trade_platform.adapters.children import Child
from trade_platform.defs.web import listen

VERSION = "{ version }"
LAUNCH = "mutation { setNuxSeen }"
NEWS = "subscription { locationStateChangeEvents { event { message } } }"


@pytest.fixture
def web(tmp_path: Path, empty_postgres_url: str) -> Iterator[Child]:
    child = trio.start("web", trio.environment(tmp_path, empty_postgres_url), tmp_path)
    yield child
    child.terminate()
    assert child.wait(30) == 0, child.last_words()


def status_of(url: str, *, method: str = "GET", body: str = "", **headers: str) -> int:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(url, method=method, data=body.encode() or None, headers=named)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def subscribed(page: str, origin: str) -> str:
    """What the page's WebSocket says to a wish to subscribe."""
    url = page.replace("http://", "ws://") + "/graphql"
    with connect(url, origin=Origin(origin), subprotocols=[Subprotocol("graphql-ws")]) as socket_:
        socket_.send(json.dumps({"type": "connection_init", "payload": {}}))
        socket_.send(json.dumps({"id": "1", "type": "start", "payload": {"query": NEWS}}))
        first = json.loads(socket_.recv())
        socket_.send(json.dumps({"id": "1", "type": "stop"}))
        return str(first["type"])


def test_the_page_works_and_another_page_in_the_same_browser_cannot_drive_it(web: Child) -> None:
    page = trio.page_of(web)
    graphql = f"{page}/graphql"
    assert trio.ask(page, VERSION)["version"]
    assert subscribed(page, page) == "connection_ack"
    assert status_of(page) == 200
    body = json.dumps({"query": LAUNCH})
    kind = "application/json"
    assert status_of(f"{graphql}?query={LAUNCH.replace(' ', '%20')}") == 403
    assert status_of(f"{graphql}?query={LAUNCH.replace(' ', '%20')}", method="POST") == 403
    assert status_of(graphql, method="POST", body=body, Content_Type="text/plain") == 403
    foreign = "http://evil.example"
    assert status_of(graphql, method="POST", body=body, Content_Type=kind, Origin=foreign) == 403
    assert status_of(graphql, method="POST", body=body, Content_Type=kind, Host="evil.example") == 403
    assert status_of(page, Host="evil.example") == 403
    with pytest.raises(InvalidStatus):
        subscribed(page, foreign)


def test_a_taken_port_is_left_to_whoever_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listen(port) as other:
            assert other.getsockname()[1] != port
    with listen(port) as same:
        assert same.getsockname()[1] == port

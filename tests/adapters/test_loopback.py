import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trade_platform.adapters.loopback import LoopbackError, get_json, post_json


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {"/good": (200, b'{"ok":true}'), "/ill": (503, b'{"ok":false}')}.get(
            self.path, (200, b"<html>")
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"posted":"' + self.path.encode() + b'"}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_json_objects_come_back_whatever_the_status(url: str) -> None:
    assert get_json(f"{url}/good") == {"ok": True}
    assert get_json(f"{url}/ill") == {"ok": False}
    assert post_json(f"{url}/pause") == {"posted": "/pause"}


def test_anything_else_is_one_error_with_the_address(url: str) -> None:
    with pytest.raises(LoopbackError, match="did not answer with JSON"):
        get_json(f"{url}/page")
    with pytest.raises(LoopbackError, match="does not answer"):
        get_json("http://127.0.0.1:9/healthz")

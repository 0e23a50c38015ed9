"""How Dagster is asked, by a server that answers as it is told; tests/end_to_end asks the real one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from benchmarks.webserver import NoAnswer, Webserver


@pytest.fixture
def answering() -> Iterator[Callable[[object], Webserver]]:
    """A web server with one answer; what it was asked stands in its ``asked``."""
    servers = []

    def begin(answer: object) -> Webserver:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                questions.append((self.headers["Content-Type"], msgspec.json.decode(asked)))
                body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return Webserver(f"http://127.0.0.1:{server.server_port}/")

    questions: list[tuple[str, dict[str, object]]] = []
    begin.questions = questions  # type: ignore[attr-defined]
    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_question_goes_by_post_as_json_with_its_variables(answering: Callable[[object], Webserver]) -> None:
    web = answering({"data": {"runsOrError": {"__typename": "Runs", "results": []}}})
    assert web.runs(limit=3, pipelineName="repair_gaps") == []
    kind, asked = answering.questions[0]  # type: ignore[attr-defined]
    assert kind == "application/json"
    assert asked["variables"] == {"filter": {"pipelineName": "repair_gaps"}, "limit": 3}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>", "answered 200"),
        ({"errors": [{"message": "Cannot query field"}]}, "Cannot query field"),
        ({"data": None}, "refuses"),
        ({"data": {"runsOrError": {"__typename": "PythonError", "message": "no table"}}}, "no table"),
    ],
)
def test_what_is_no_answer_is_said_in_a_sentence(
    answering: Callable[[object], Webserver], answer: object, words: str
) -> None:
    with pytest.raises(NoAnswer, match=words):
        answering(answer).runs()


def test_a_server_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(NoAnswer, match="does not answer"):
        Webserver("http://127.0.0.1:9").nodes()


def test_a_picture_is_known_by_its_content(answering: Callable[[object], Webserver]) -> None:
    entries = [
        {"__typename": "MarkdownMetadataEntry", "label": "chart", "mdStr": "![](data:image/png;base64,AA==)"},
        {"__typename": "MarkdownMetadataEntry", "label": "words", "mdStr": "none"},
        {"__typename": "IntMetadataEntry", "label": "minutes"},
    ]
    made = {"partition": "2026-11-22|deribit/BTC-PERPETUAL", "timestamp": "1", "metadataEntries": entries}
    web = answering({"data": {"assetOrError": {"__typename": "Asset", "assetMaterializations": [made]}}})
    assert web.materialized(("candles_1m",)) == [("2026-11-22|deribit/BTC-PERPETUAL", {"chart"})]

"""The code server, really started: it knows our definitions, and ends when asked."""

from __future__ import annotations

from pathlib import Path

from dagster._grpc.client import DagsterGrpcClient

from tests.defs import trio


def test_the_code_server_serves_our_definitions(tmp_path: Path, empty_postgres_url: str) -> None:
    told = trio.environment(tmp_path, empty_postgres_url)
    code = trio.start("code", told, tmp_path)
    client = DagsterGrpcClient(host="127.0.0.1", port=int(told["DAGSTER_CODE_PORT"]))
    assert client.health_check_query() == "SERVING"
    assert '"defs"' in client.list_repositories()
    code.terminate()
    assert code.wait(30) == 0, code.last_words()
    assert code.ready() is None

"""The processes of Dagster as ``up`` starts them, on a database of the test's own."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trade_platform.adapters.children import Child
from trade_platform.adapters.dagster_home import LOOPBACK, free_port, make_home
from trade_platform.adapters.database.dagster_storage import sqlalchemy_url


def environment(folder: Path, dagster_url: str) -> dict[str, str]:
    """What ``up`` tells them."""
    return {
        "DATA_FOLDER": str(folder),
        "DAGSTER_HOME": str(make_home(folder)),
        "DAGSTER_DATABASE_URL": dagster_url,
        "DAGSTER_STORAGE_URL": sqlalchemy_url(dagster_url),
        "DAGSTER_CODE_HOST": LOOPBACK,
        "DAGSTER_CODE_PORT": str(free_port()),
        "WEB_PORT": "0",
    }


def start(name: str, told: Mapping[str, str], folder: Path) -> Child:
    """One of code, daemon, web; ready."""
    child = Child(f"dagster-{name}", ["-m", f"trade_platform.defs.{name}"], told, folder)
    child.start()
    try:
        until(lambda: child.ready() is not None, child)
    except BaseException:
        child.terminate()
        child.wait(30)
        raise
    return child


def until(condition: Callable[[], object], child: Child) -> None:
    """Ask again and again while the child lives."""
    pause = threading.Event()
    while not condition():
        assert child.exited() is None, child.last_words()
        pause.wait(0.05)


def page_of(child: Child) -> str:
    """Address of the web page."""
    record = child.ready()
    assert record is not None
    return record.urls["page"]["http"]


def ask(page: str, query: str, **variables: Any) -> Any:
    """GraphQL, as the page itself asks."""
    request = urllib.request.Request(
        f"{page}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json", "Origin": page},
    )
    with urllib.request.urlopen(request) as answer:
        found = json.load(answer)
    assert "errors" not in found, found
    return found["data"]

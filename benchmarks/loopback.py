"""What the processes of a run say of themselves, and what their simulator is told to do wrong."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from trade_platform.adapters.loopback import LoopbackError

Reading: TypeAlias = Mapping[str, float]
"""Words for what may have happened, with a counter each."""

ANSWER_SECONDS = 2.0
ORDER_SECONDS = 20.0
"""An order may be a lot of work."""
OWN = frozenset({"exchange", "stream"})
"""Labels that say of which process it is; that is known."""


def ask(url: str, body: bytes | None = None) -> bytes:
    """GET, or POST where there is a body; any status is an answer. Raises LoopbackError."""
    parts = urlsplit(url)
    patience = ANSWER_SECONDS if body is None else ORDER_SECONDS
    connection = http.client.HTTPConnection(parts.netloc, timeout=patience)
    try:
        connection.request("GET" if body is None else "POST", parts.path, body)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise LoopbackError(f"{url} does not answer: {error!r}") from error
    finally:
        connection.close()


def post(url: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """POST a JSON object and read one; raises LoopbackError."""
    answer = ask(url, msgspec.json.encode(value))
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise LoopbackError(f"{url} did not answer with JSON: {answer[:80]!r}") from error


def samples_of(text: str) -> list[Sample]:
    """Every sample of a /metrics page."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def add_up(
    samples: Iterable[Sample], name: str, word: Callable[[Mapping[str, str]], str]
) -> dict[str, float]:
    """The samples of one name, added up by what ``word`` makes of their labels."""
    found: dict[str, float] = {}
    for sample in samples:
        if sample.name == name:
            key = word(sample.labels)
            found[key] = found.get(key, 0.0) + sample.value
    return found


def grown(before: Reading, now: Reading) -> str:
    """The first word whose counter is higher than it was; empty where none is."""
    return next((word for word, count in now.items() if count > before.get(word, 0.0)), "")


def gauges_of(text: str) -> dict[str, float]:
    """Every gauge of a /metrics page by name and labels, without what the library tells of the process."""
    return {
        _name_of(sample): sample.value
        for family in text_string_to_metric_families(text)
        if family.type == "gauge" and not family.name.startswith(("process_", "python_"))
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def _name_of(sample: Sample) -> str:
    labels = ",".join(value for name, value in sorted(sample.labels.items()) if name not in OWN)
    return f"{sample.name}{{{labels}}}" if labels else sample.name

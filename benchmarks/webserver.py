"""Dagster's web server, asked by GraphQL: what is defined, what ran, what is wrong, and what is to run."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

ASSETS: Final = "__ASSET_JOB"
"""The job of whatever assets or checks a person picks."""
ANSWER_SECONDS: Final = 30.0
"""A question about every partition takes its time on a machine that is busy."""

Key: TypeAlias = tuple[str, ...]


class NoAnswer(Exception):
    """The web server does not answer, or refuses the question; the sentence says which."""


class Repository(msgspec.Struct, frozen=True, rename="camel"):
    """Where in the web page the definitions stand."""

    name: str
    location: str

    @property
    def path(self) -> str:
        return f"{self.name}@{self.location}"


class Node(msgspec.Struct, frozen=True, rename="camel"):
    """What an asset's definition says."""

    key: Key
    group: str
    description: str
    kinds: Sequence[str]
    owners: int
    executable: bool


class Check(msgspec.Struct, frozen=True):
    """One check and what came of it last; ``status`` is empty where it was never evaluated."""

    asset: Key
    name: str
    description: str
    status: str = ""
    said: str = ""


class Tick(msgspec.Struct, frozen=True):
    status: str
    began: float
    """Seconds UTC, here and below."""
    ended: float | None
    error: str = ""


class Automation(msgspec.Struct, frozen=True):
    """A sensor or a schedule."""

    name: str
    kind: str
    status: str
    description: str
    ticks: Sequence[Tick]


class DagsterRun(msgspec.Struct, frozen=True):
    run_id: str
    job: str
    status: str
    created: float
    started: float | None = None
    ended: float | None = None
    tags: Mapping[str, str] = {}


_RUN: Final = "runId jobName status creationTime startTime endTime tags { key value }"
_REPOSITORIES: Final = """
{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name location { name } } }
  ... on PythonError { message } } }
"""
_NODES: Final = """
{ assetNodes { assetKey { path } groupName description kinds isExecutable owners { __typename } } }
"""
_CHECKS: Final = """
{ assetNodes { assetKey { path } assetChecksOrError { __typename ... on AssetChecks { checks {
    name description } } } } }
"""
_EXECUTIONS: Final = """
query($key: AssetKeyInput!, $name: String!, $partition: String) {
  assetCheckExecutions(assetKey: $key, checkName: $name, partition: $partition, limit: 1) {
    status evaluation { description success } } }
"""
_AUTOMATIONS: Final = """
query($ticks: Int!) { repositoriesOrError { ... on RepositoryConnection { nodes {
  sensors { name description sensorState { status ticks(limit: $ticks) { status timestamp endTimestamp
    error { message } } } }
  schedules { name description scheduleState { status ticks(limit: $ticks) { status timestamp endTimestamp
    error { message } } } } } } } }
"""
_RUNS: Final = (
    "query($filter: RunsFilter, $limit: Int) { runsOrError(filter: $filter, limit: $limit) "
    "{ __typename ... on Runs { results { " + _RUN + " } } ... on PythonError { message } } }"
)
_LAUNCH: Final = """
mutation($parameters: ExecutionParams!) { launchRun(executionParams: $parameters) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }
"""
_EVENTS: Final = """
query($run: ID!) { runOrError(runId: $run) { __typename ... on Run { eventConnection { events { __typename
  ... on MessageEvent { timestamp message } } } } ... on PythonError { message } } }
"""
_BACKFILLS: Final = """
{ partitionBackfillsOrError(limit: 20) { __typename ... on PartitionBackfills { results {
  id status numPartitions assetSelection { path } } } ... on PythonError { message } } }
"""
_PARTITIONS: Final = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { __typename ... on AssetNode {
  partitionKeysByDimension { name partitionKeys } } } }
"""
_MATERIALIZED: Final = """
query($key: AssetKeyInput!, $limit: Int!) { assetOrError(assetKey: $key) { __typename ... on Asset {
  assetMaterializations(limit: $limit) { partition timestamp metadataEntries { __typename label
    ... on MarkdownMetadataEntry { mdStr } } } } } }
"""


class Webserver:
    """One web server on loopback; every method raises NoAnswer."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def ask(self, question: str, **variables: object) -> Mapping[str, Any]:
        """What stands under ``data``."""
        body = msgspec.json.encode({"query": question, "variables": variables})
        status, answer = self.post("/graphql", body)
        try:
            found = msgspec.json.decode(answer, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise NoAnswer(f"{self.url} answered {status}: {answer[:200]!r}.") from error
        if found.get("errors") or not isinstance(found.get("data"), dict):
            raise NoAnswer(f"{self.url} refuses the question: {found.get('errors') or found}.")
        data: Mapping[str, Any] = found["data"]
        return data

    def post(
        self, path: str, body: bytes, *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer, whatever they are."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=ANSWER_SECONDS)
        given = {"Content-Type": "application/json", **(headers or {})}
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{self.url} does not answer: {error!r}.") from error
        finally:
            connection.close()

    # --- what is defined ---

    def repository(self) -> Repository:
        found = _good(self.ask(_REPOSITORIES)["repositoriesOrError"])["nodes"]
        if len(found) != 1:
            raise NoAnswer(f"{self.url} knows {len(found)} code locations instead of one.")
        return Repository(found[0]["name"], found[0]["location"]["name"])

    def nodes(self) -> list[Node]:
        return [
            Node(
                *(tuple(one["assetKey"]["path"]), one["groupName"], one["description"] or "", one["kinds"]),
                *(len(one["owners"]), one["isExecutable"]),
            )
            for one in self.ask(_NODES)["assetNodes"]
        ]

    def automations(self, *, ticks: int = 1000) -> list[Automation]:
        """With their last ticks, the newest first."""
        found = []
        for repository in self.ask(_AUTOMATIONS, ticks=ticks)["repositoriesOrError"]["nodes"]:
            for kind in ("sensor", "schedule"):
                for one in repository[f"{kind}s"]:
                    state = one[f"{kind}State"]
                    found.append(
                        Automation(
                            *(one["name"], kind, state["status"], one["description"] or ""),
                            [_tick(tick) for tick in state["ticks"]],
                        )
                    )
        return found

    def partitions(self, asset: Key) -> dict[str, list[str]]:
        """Keys by dimension."""
        node = self.ask(_PARTITIONS, key=_key(asset))["assetNodeOrError"]
        return {one["name"]: one["partitionKeys"] for one in node["partitionKeysByDimension"]}

    # --- how it is ---

    def checks(self) -> list[Check]:
        """All of them, with what came of each last."""
        return [
            self._with_outcome(Check(tuple(node["assetKey"]["path"]), one["name"], one["description"] or ""))
            for node in self.ask(_CHECKS)["assetNodes"]
            for one in node["assetChecksOrError"].get("checks", ())
        ]

    def check(self, asset: Key, name: str, partition: str | None = None) -> Check:
        """One of them, of this partition where one is named."""
        return self._with_outcome(Check(asset, name, ""), partition)

    def _with_outcome(self, check: Check, partition: str | None = None) -> Check:
        asked = {"key": _key(check.asset), "name": check.name, "partition": partition}
        found = self.ask(_EXECUTIONS, **asked)["assetCheckExecutions"]
        if not found:
            return check
        said = (found[0]["evaluation"] or {}).get("description") or ""
        return msgspec.structs.replace(check, status=found[0]["status"], said=said)

    def materialized(self, asset: Key, *, limit: int = 200) -> list[tuple[str, set[str]]]:
        """(partition, labels of its pictures) of the last materialisations, the newest first."""
        found = self.ask(_MATERIALIZED, key=_key(asset), limit=limit)["assetOrError"]
        return [
            (
                one["partition"] or "",
                {
                    entry["label"]
                    for entry in one["metadataEntries"]
                    if "data:image/png" in entry.get("mdStr", "")
                },
            )
            for one in found.get("assetMaterializations", ())
        ]

    # --- what runs ---

    def runs(self, *, limit: int = 100, **filters: object) -> list[DagsterRun]:
        """The newest first; ``filters`` are those of GraphQL: pipelineName, statuses, runIds, tags."""
        found = _good(self.ask(_RUNS, filter=filters, limit=limit)["runsOrError"])["results"]
        return [
            DagsterRun(
                *(one["runId"], one["jobName"], one["status"], one["creationTime"]),
                *(one["startTime"], one["endTime"]),
                {tag["key"]: tag["value"] for tag in one["tags"]},
            )
            for one in found
        ]

    def run(self, run_id: str) -> DagsterRun:
        return self.runs(runIds=[run_id], limit=1)[0]

    def events(self, run_id: str) -> list[tuple[str, float, str]]:
        """(kind, seconds UTC, message) of a run's log, the oldest first."""
        found = _good(self.ask(_EVENTS, run=run_id)["runOrError"])["eventConnection"]["events"]
        return [(one["__typename"], int(one["timestamp"]) / 1000, one["message"]) for one in found]

    def launch(
        self,
        job: str,
        *,
        config: Mapping[str, object] | None = None,
        assets: Sequence[Key] = (),
        check: tuple[Key, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """The id of a new run of a job, of some of its assets, or of one check (asset, name) alone."""
        repository = self.repository()
        selector: dict[str, object] = {
            "jobName": job,
            "repositoryName": repository.name,
            "repositoryLocationName": repository.location,
        }
        if assets or check:
            selector["assetSelection"] = [_key(asset) for asset in assets]
        if check:
            selector["assetCheckSelection"] = [{"assetKey": _key(check[0]), "name": check[1]}]
        parameters = {
            "selector": selector,
            "mode": "default",
            "runConfigData": msgspec.json.encode(config or {}).decode(),
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]},
        }
        launched = _good(self.ask(_LAUNCH, parameters=parameters)["launchRun"], "LaunchRunSuccess")
        return str(launched["run"]["runId"])

    def backfills(self) -> list[Mapping[str, Any]]:
        """The newest first: id, status, numPartitions, assetSelection."""
        found: list[Mapping[str, Any]] = _good(self.ask(_BACKFILLS)["partitionBackfillsOrError"])["results"]
        return found


def _good(answer: Mapping[str, Any], expected: str = "") -> Mapping[str, Any]:
    """The answer itself, where it is no error."""
    kind = answer.get("__typename", "")
    if kind.endswith("Error") or (expected and kind != expected):
        raise NoAnswer(f"{kind}: {answer.get('message') or answer.get('errors') or ''}")
    return answer


def _key(asset: Key) -> dict[str, object]:
    return {"path": list(asset)}


def _tick(tick: Mapping[str, Any]) -> Tick:
    error = (tick["error"] or {}).get("message", "")
    return Tick(tick["status"], tick["timestamp"], tick["endTimestamp"], error)

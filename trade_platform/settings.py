"""Settings: the environment (and files for secrets) → one frozen value. Composition roots alone read it.

Every setting is an environment variable of the field's name in upper case. ``NAME_FILE`` names a file
that holds the value, for what must not stand in an environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from trade_platform.domain.defences import Defence
from trade_platform.domain.market_clock import MarketClock
from trade_platform.exchanges.registry import EXCHANGES

SCHEMES: Final = {
    "database_url": ("postgresql://", "postgres://"),
    "dagster_database_url": ("postgresql://", "postgres://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
    **{f"{key}_websocket_url": ("ws://", "wss://") for key in EXCHANGES},
    **{f"{key}_rest_url": ("http://", "https://") for key in EXCHANGES},
}
_HOST: Final = re.compile(r"[A-Z][A-Z0-9_]*_(WEBSOCKET|REST)_URL")


class SettingsError(Exception):
    """A setting is wrong; the sentence says which and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a process needs to know of its surroundings."""

    database_url: str = ""
    """postgresql://user@host:port/name; empty: the embedded server of this data folder."""
    redis_url: str = ""
    """redis:// or unix://; empty: the embedded server of this data folder."""
    data_folder: Path = Path(".data")
    instruments_file: Path = Path("config/instruments.toml")
    dagster_database_url: str = ""
    """Dagster's own; empty: database and role ``dagster`` on the platform's server, made when missing."""
    web_port: Annotated[int, Meta(ge=0, le=65535)] = 3000
    """Of the web page, on loopback; another free one where it is taken. 0: any free one."""
    dagster_event_days: Annotated[int, Meta(ge=1)] = 7
    """How long the single steps of a run can be looked up in Dagster; what was made and checked, always."""
    dagster_run_days: Annotated[int, Meta(ge=1)] = 60
    """How long runs, their logs and what later runs have replaced can be looked up in Dagster."""
    dagster_tick_days: Annotated[int, Meta(ge=1)] = 30
    """How long ticks of sensors and schedules can be looked up; dagster.yaml forgets most of them earlier."""
    market_clock: str = ""
    """origin/anchor/speed of a replay (domain/market_clock); empty: the wall clock."""
    postgres_bin: str = ""
    """Folder of PostgreSQL 17 binaries, when neither the wheel nor PATH has them."""
    redis_server: str = ""
    """Path of a redis-server or valkey-server binary."""
    redis_megabytes: Annotated[int, Meta(ge=16)] = 1024
    """Memory that the embedded Redis may use; when it is full, publishers wait and spool."""
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """0: any free port; it is written to the process's run file."""
    process_name: str = ""
    parent_pid: Annotated[int, Meta(ge=0)] = 0
    """Set by ``up`` for its children: the process without which this one ends, too; 0: none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    first_day: date = date(2025, 1, 1)
    """The first day that has a partition in Dagster: how far back a backfill can be asked for there."""
    predecessor: str = ""
    """Set for the second slot of a lane: the process that still delivers while this one begins."""
    tls_ca_file: str = ""
    """Extra certificate authority to trust (a simulator with TLS)."""
    spool_megabytes: Annotated[int, Meta(ge=1)] = 256
    """Bound of the spool on disk, per process."""
    buffer_records: Annotated[int, Meta(ge=1)] = 100_000
    """Bound of the publisher's buffer in memory."""
    stream_window_seconds: Annotated[float, Meta(ge=60)] = 900.0
    """Stored entries stay in a stream so long: for late readers, and if PostgreSQL loses some in a crash."""
    archive: str = ""
    """Folder or URL of files in the layout of data.binance.vision; empty: none is asked."""
    candle_lateness_seconds: Annotated[float, Meta(ge=0)] = 2.5
    """Market seconds after a minute's end until its candle is stored, proven complete or not."""
    budget_share: Annotated[float, Meta(gt=0, le=1)] = 0.25
    """What a process takes of an exchange's published limits while Redis, where they are shared, is away."""
    connection_maximum_age_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """After how long a connection to an exchange is replaced, without a break; 0: shortly before the
    exchange cuts it, where it does."""
    vault_keys: str = ""
    """Folder of key-encryption keys, files named by their ids, 0400; empty: made in the data folder."""

    without: frozenset[Defence] = frozenset()
    """Defences that are left out, by commas: a rehearsal of `make faults`, never for use."""
    urls: dict[str, str] = {}
    """Other hosts than the exchanges' own, by variable: ``<KEY>_WEBSOCKET_URL``, ``<KEY>_REST_URL``."""

    def hosts(self, exchange: str) -> tuple[str, str]:
        """(WebSocket, REST) base URLs that replace the exchange's own; empty where they do not."""
        key = exchange.upper()
        return self.urls.get(f"{key}_WEBSOCKET_URL", ""), self.urls.get(f"{key}_REST_URL", "")


PLAIN: Final = tuple(name for name in Settings.__struct_fields__ if name != "urls")
"""Those that are one variable each."""


def variables(environment: Mapping[str, str]) -> list[str]:
    """Which of these variables mean something to us."""
    return [one for one in environment if _means(one) or _means(one.removesuffix("_FILE"))]


def _means(variable: str) -> bool:
    return (variable.isupper() and variable.lower() in PLAIN) or _HOST.fullmatch(variable) is not None


def settings_from(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment; raises SettingsError with one clear sentence."""
    environment = os.environ if environment is None else environment
    given = _given(environment)
    for name in {"database_url", "dagster_database_url"} & given.keys():
        # as SQLAlchemy writes it; everything else here wants it plain
        given[name] = re.sub(r"^postgresql\+psycopg2?://", "postgresql://", given[name])
    _check(given)
    plain = {name: _listed(name, given[name]) for name in PLAIN if name in given}
    for name, value in plain.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"{name.upper()}={given[name]!r} is not usable ({_why(name, error)}): correct or unset it."
            ) from error
    urls = {name.upper(): value for name, value in given.items() if name not in PLAIN}
    return msgspec.convert({**plain, "urls": urls}, Settings, strict=False, dec_hook=_path)


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment says, by our names; a file's content where a file is named."""
    given: dict[str, str] = {}
    for variable in variables(environment):
        bare = variable.removesuffix("_FILE")
        if _means(variable):
            given[variable.lower()] = environment[variable]
        elif bare not in environment and (path := environment[variable]):
            given[bare.lower()] = _content(variable, path)
    return given


def _content(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(
            f"{variable} names {path}, which cannot be read ({why}): check the path and its permissions."
        ) from error


def _check(given: Mapping[str, str]) -> None:
    """What types cannot say."""
    for name, schemes in SCHEMES.items():
        if given.get(name) and not given[name].startswith(schemes):  # its password is not to be shown
            raise SettingsError(
                f"{name.upper()} must begin with {' or '.join(schemes)}: correct it, "
                "or unset it for the default."
            )
    try:
        _ = urlsplit(given.get("redis_url", "")).port
    except ValueError as error:
        raise SettingsError("REDIS_URL is no Redis URL: set it to redis://host:port/0.") from error
    if clock := given.get("market_clock"):
        try:
            MarketClock.from_text(clock)
        except ValueError as error:
            raise SettingsError(
                f"MARKET_CLOCK={clock!r} is no origin/anchor/speed: `up` sets it for its children; unset it."
            ) from error


def _why(name: str, error: msgspec.ValidationError) -> str:
    """Without the place, which the setting's name says."""
    if name == "without":
        return f"the defences are {', '.join(Defence)}"
    return str(error).partition(" - at `$")[0]


def _listed(name: str, value: str) -> str | list[str]:
    """``WITHOUT`` alone holds several."""
    return [one.strip() for one in value.split(",") if one.strip()] if name == "without" else value


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise TypeError(kind)

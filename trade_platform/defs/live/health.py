"""The sensor that tells how the live platform is, without runs: heartbeats while data flow, and changes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import dagster as dg
import msgspec

from trade_platform.adapters.clock import WallClock
from trade_platform.defs.live import reports
from trade_platform.defs.live.assets import MARKETS, STATE, connection_key, table_key
from trade_platform.defs.live.news import Memory, news
from trade_platform.defs.stores import Stores, unreachable
from trade_platform.domain.model import MICROSECONDS
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.operations.health import Health, read_health

LOOK_SECONDS: Final = 30


def ask_health(stores: Stores) -> Health:
    """How everything is now. Raises what ``defs.stores`` calls unreachable."""
    settings = stores.settings()
    with stores.database() as connection, stores.bus() as bus:
        return read_health(
            *(connection, bus, settings.data_folder, settings.instruments_file),
            stores.clock().market(),
        )


@dg.sensor(
    name="live_health",
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells how connections, streams and tables are: on change, and every ten minutes.",
)
def live_health(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult | dg.SkipReason:
    """Bounded queries, no run."""
    with unreachable() as missing:
        health = ask_health(stores)
    if missing:
        return dg.SkipReason(missing[0])
    now = WallClock().market() // MICROSECONDS
    events, memory = news(health, Memory.from_text(context.cursor), now)
    return dg.SensorResult(
        asset_events=events,
        cursor=msgspec.json.encode(memory).decode(),
        skip_reason=None if events else "Nothing has changed.",
    )


# --- the same, asked for by a person ---


def checks() -> list[dg.AssetChecksDefinition]:
    """Definitions of what the sensor evaluates; run by hand, they ask anew."""
    descriptions: Sequence[tuple[Iterable[dg.AssetKey], str, str]] = [
        (
            map(connection_key, EXCHANGES),
            reports.DELIVERING,
            "Messages come as often as they use to; red where a streamer is stopped or an exchange silent.",
        ),
        ((*MARKETS, STATE), reports.LAG, "No entry waits longer than ten seconds until it is stored."),
        ([table_key("dead_letter")], reports.NO_DEAD_LETTERS, "Everything that came could be stored."),
        ([table_key("gap")], reports.NO_OPEN_GAPS, "No hole is open; red when one is for two minutes."),
        (
            [table_key("trade")],
            reports.FRESH,
            "Each instrument trades as often as it uses to; one that is halted or thin is not late.",
        ),
    ]
    return [_check(key, name, words) for keys, name, words in descriptions for key in keys]


def _check(key: dg.AssetKey, name: str, words: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=key, name=name, description=words)
    def check(stores: Stores) -> dg.AssetCheckResult:
        found = _found(reports.verdicts(ask_health(stores)), key, name)
        if found is None:
            return dg.AssetCheckResult(
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description="Nothing is recorded of it here, or Redis does not answer.",
            )
        return found.result()

    return check


def _found(verdicts: Iterator[reports.Verdict], key: dg.AssetKey, name: str) -> reports.Verdict | None:
    return next((one for one in verdicts if (one.key, one.check) == (key, name)), None)

"""What proves the candles of an instrument's day; each question is asked of every partition of a run.

A run of many partitions gives one evaluation a partition: Dagster itself would give one for all of them.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Any, Final, TypeAlias

import dagster as dg
import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.ohlc.days import PartitionDay, held_days
from trade_platform.defs.partitions import INSTRUMENT_DAYS
from trade_platform.defs.stores import Stores
from trade_platform.operations import checks
from trade_platform.operations.candles import ROLLED
from trade_platform.operations.partitions import Listed
from trade_platform.operations.rolled_checks import rolled_up

Question: TypeAlias = Callable[[Connection, Listed, date, int], checks.Verdict]
"""(connection, instrument, day, market time) → what was found."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One question about one asset."""

    asset: str
    name: str
    description: str
    ask: Question
    blocking: bool = False


def _plain(ask: Callable[[Connection, Listed, date], checks.Verdict]) -> Question:
    return lambda connection, instrument, day, _: ask(connection, instrument, day)


def _made_of_trades(connection: Connection, instrument: Listed, day: date, now: int) -> checks.Verdict:
    return checks.made_of_trades(connection, instrument, day, now=now)


def _rolled_up(
    interval: str, connection: Connection, instrument: Listed, day: date, now: int
) -> checks.Verdict:
    possible = checks.invariants(connection, instrument, day, [interval])
    return possible if not possible.good else rolled_up(connection, instrument, day, interval, now=now)


CHECKS: Final = (
    Check(
        asset="candles_1m",
        name="no_open_gaps",
        description="Nothing that was noted missing of the day waits for its repair.",
        ask=_plain(checks.open_gaps),
    ),
    Check(
        asset="candles_1m",
        name="sequence_contiguous",
        description="No trade number is missing inside the day or beside it, and each has its row.",
        ask=_plain(checks.contiguous),
    ),
    Check(
        asset="candles_1m",
        name="no_duplicate_trades",
        description="No trade number is held twice.",
        ask=_plain(checks.no_duplicates),
        blocking=True,
    ),
    Check(
        asset="candles_1m",
        name="possible_candles",
        description="Low ≤ open, close ≤ high; nothing is negative; takers bought no more than all.",
        ask=_plain(checks.invariants),
        blocking=True,
    ),
    Check(
        asset="candles_1m",
        name="made_of_their_trades",
        description="Each minute that is over is what its trades make, in every field.",
        ask=_made_of_trades,
        blocking=True,
    ),
    *(
        Check(
            asset=f"candles_{interval}",
            name="made_of_their_minutes",
            description="Each candle is possible, and what its minutes make; it is complete where all are.",
            ask=partial(_rolled_up, interval),
        )
        for interval in ROLLED
    ),
    Check(
        asset="control_totals",
        name="agrees_with_the_exchange",
        description="No difference to the exchange's own candles is open.",
        ask=_plain(checks.agrees),
    ),
)


def asset_checks() -> list[dg.AssetChecksDefinition]:
    """All of them, partitioned as their assets are."""
    with warnings.catch_warnings():
        # Partitioned checks may change with a version of Dagster: ours is pinned, and they are tested.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [_definition(one) for one in CHECKS]


def evaluations(
    asked: Sequence[Check], connection: Connection, days: Sequence[PartitionDay], now: int
) -> Iterator[dg.AssetCheckEvaluation]:
    """The answers, partition by partition.

    Of many partitions none blocks: what is wrong with one must not keep the others from being rolled up.
    """
    for one in days:
        for check in asked:
            yield evaluated(check, connection, one, now, alone=len(days) == 1)


def evaluated(
    check: Check, connection: Connection, one: PartitionDay, now: int, *, alone: bool = True
) -> dg.AssetCheckEvaluation:
    """One question about one partition; ``alone``: it may stop the rest of its run."""
    verdict = checks.together(_answers(check, connection, one, now))
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([check.asset]),
        check_name=check.name,
        passed=verdict.good,
        description=_in_words(verdict),
        metadata={**verdict.counts, **({"examples": list(verdict.examples)} if verdict.examples else {})},
        blocking=check.blocking and alone,
        partition=one.key,
    )


def say(context: dg.OpExecutionContext, said: Iterable[dg.AssetCheckEvaluation]) -> None:
    """Note evaluations in a run that is no asset's own."""
    for evaluation in said:
        context.log_event(evaluation)  # type: ignore[arg-type] # it takes them; its annotation does not


def _definition(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(  # type: ignore[arg-type] # a generator is allowed, and is what can speak of many partitions
        asset=[check.asset],
        name=check.name,
        description=check.description,
        blocking=check.blocking,
        partitions_def=INSTRUMENT_DAYS,
    )
    def body(context: dg.AssetCheckExecutionContext, stores: Stores) -> Iterator[Any]:
        now = stores.clock().market()
        with in_a_sentence(), stores.database(check.name) as connection:
            days = list(held_days(context, connection))
            yield from evaluations([check], connection, days, now)
        yield dg.Output(None, output_name=context.op_execution_context.op_def.output_defs[0].name)

    return body


def _answers(check: Check, connection: Connection, one: PartitionDay, now: int) -> Iterator[checks.Verdict]:
    """Of each instrument; of a family, an example says whose it is."""
    for each in one.instruments:
        verdict = check.ask(connection, each, one.day, now)
        if len(one.instruments) > 1:
            examples = tuple(f"{each.symbol} {example}" for example in verdict.examples)
            verdict = msgspec.structs.replace(verdict, examples=examples)
        yield verdict


def _in_words(verdict: checks.Verdict) -> str:
    """What is wrong comes first: a person reads it without opening anything."""
    if verdict.good or not verdict.examples:
        return verdict.words
    return f"{'; '.join(verdict.examples)} ({verdict.words})"

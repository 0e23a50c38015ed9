"""What counts as arrived, and the backlog that a processor is given."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from benchmarks.frames import FIRST, SYMBOLS
from benchmarks.processing import backlog
from benchmarks.tally import Arrived, contiguous
from trade_platform.adapters.bus import Entry, encode

LAST = dict.fromkeys(SYMBOLS, FIRST + 9)
BEGIN = dict.fromkeys(SYMBOLS, FIRST)


def _arrived(places: Sequence[int]) -> Iterator[Arrived]:
    trades = list(backlog(30, 1_763_800_000_000_000))
    return (Arrived(trades[place], 0) for place in places)


def test_all_that_was_sent_is_counted() -> None:
    assert contiguous(_arrived(range(30)), LAST, BEGIN) == 30


def test_a_repeated_trade_is_counted_once() -> None:
    assert contiguous(_arrived([*range(30), 3, 29]), LAST, BEGIN) == 30


def test_a_missing_trade_takes_what_follows_with_it() -> None:
    assert contiguous(_arrived([place for place in range(30) if place != 15]), LAST, BEGIN) == 20 + 5


def test_what_was_never_sent_is_not_counted() -> None:
    earlier = {symbol: number - 1 for symbol, number in LAST.items()}
    assert contiguous(_arrived(range(30)), earlier, BEGIN) == 27


def test_a_backlog_is_contiguous_per_symbol_and_never_goes_back_in_time() -> None:
    trades = list(backlog(100, 1_763_800_000_000_000))
    for symbol in SYMBOLS:
        own = [trade.sequence for trade in trades if trade.symbol == symbol]
        assert own == list(range(FIRST, FIRST + len(own)))
    assert all(one.event_time <= other.event_time for one, other in pairwise(trades))
    assert all(trade.event_time <= trade.receive_time for trade in trades)


def test_a_backlog_survives_the_bus() -> None:
    trades = list(backlog(10, 1_763_800_000_000_000))
    entry = Entry("trade", "p:1", 1, 0, "binance_usdm", encode(trades))
    fields = {name.encode(): str(value).encode() for name, value in entry.fields().items() if name != "data"}
    assert msgspec.to_builtins(
        Entry.from_fields({**fields, b"data": entry.data}).records()
    ) == msgspec.to_builtins(trades)

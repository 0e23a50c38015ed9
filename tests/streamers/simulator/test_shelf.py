"""What left the memory is read again from the ledger, in either direction, by number or by time."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from streamers.simulator import tape
from streamers.simulator.ledger import Ledger, Trade
from streamers.simulator.shelf import Shelf
from streamers.simulator.tape import Print, PrintLog

PRINTS = 6_000
BUSY, THIN = "BTCUSDT", "币安人生USDT"


def text_of(entry: Trade) -> str:
    return f"#{entry.sequence}"


@pytest.fixture(params=["as it was written", "after a restart"])
def logs(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, PrintLog]:
    """A busy and a thin instrument in one ledger; a hundred prints of each in memory."""
    ledger, random = Ledger(tmp_path / "x.jsonl"), Random(7)
    ledger.open()
    found = {name: PrintLog(Shelf(ledger, name, "trade", text_of), 100) for name in (BUSY, THIN)}
    for name in found:
        ledger.begin(name, "trade", 0)
    numbers = dict.fromkeys(found, 0)
    for place in range(PRINTS):
        name = THIN if random.random() < 0.02 else BUSY
        numbers[name] += 1
        one = Print(numbers[name], "1.5", "2", True, place // 3 * 10, numbers[name], numbers[name], "")
        found[name].append(one)
        ledger.trade(name, "trade", one)
        if place % 500 == 0:
            ledger.flush()
    ledger.flush()
    if request.param == "after a restart":
        ledger.close()
        again = Ledger(ledger.path)
        again.open()
        found = {name: PrintLog(Shelf(again, name, "trade", text_of), 100) for name in found}
        for entry in again.read():
            assert isinstance(entry, Trade)
            found[entry.symbol].append(entry.print())
    return found


@pytest.mark.parametrize("name", [BUSY, THIN])
def test_everything_is_still_there(logs: dict[str, PrintLog], name: str) -> None:
    log = logs[name]
    assert len(log) <= 120
    assert log.last is not None
    everything = list(range(1, log.last.sequence + 1))
    assert [one.sequence for one in log.ascending()] == everything
    assert [one.sequence for one in log.descending()] == everything[::-1]
    assert next(log.ascending()).text == "#1"


def test_from_a_number_and_from_a_time(logs: dict[str, PrintLog]) -> None:
    for name, log in logs.items():
        whole = list(log.ascending())
        for start in range(1, len(whole), max(len(whole) // 40, 1)):
            page = list(islice(log.ascending(start), 50))
            assert page == whole[start - 1 : start + 49], name
            back = list(islice(log.descending(start), 50))
            assert back == whole[max(start - 50, 0) : start][::-1], name
            time = whole[start].time
            assert next(log.ascending(time=time)).time >= time
            assert [one.sequence for one in log.ascending(time=time)] == [
                one.sequence for one in whole if one.time >= time
            ]
            assert next(log.descending(time=time)) == [one for one in whole if one.time <= time][-1]


def test_the_memory_is_bounded() -> None:
    log = PrintLog()
    for number in range(10 * tape.KEPT_PRINTS):
        log.append(Print(number, "1", "1", True, number, number, number))
    assert len(log) <= tape.KEPT_PRINTS * 1.2
    assert [one.sequence for one in islice(log.descending(), 2)] == [number, number - 1]

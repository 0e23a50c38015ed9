"""Green on what is right; red on an altered candle, a deleted trade, a duplicate, a gap, a stale roll-up."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.operations.test_control import klines_of
from tests.processors.feeding import NOON, Feeder, entry, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.day_checks import Stretch
from trade_platform.adapters.database.times import day_of, moment
from trade_platform.domain.model import DAY, MINUTE, Channel, Gap, GapReason, InstrumentKind
from trade_platform.operations import checks
from trade_platform.operations.candles import ROLLED, build_day, refresh
from trade_platform.operations.checks import Verdict, together
from trade_platform.operations.partitions import Listed, recorded_instruments
from trade_platform.operations.rolled_checks import rolled_up
from trade_platform.operations.rolling import roll_up_day

TODAY = day_of(NOON)
NOW = NOON + 10 * DAY
TRADES = [trade(n, NOON + n * 20_000_000, price=Decimal(100 + n % 7)) for n in range(1, 400)]


def only(connection: Connection) -> Listed:
    (one,) = recorded_instruments(connection)
    return one


def ask(connection: Connection) -> dict[str, Verdict]:
    """Every question."""
    one = only(connection)
    return {
        "open_gaps": checks.open_gaps(connection, one, TODAY),
        "contiguous": checks.contiguous(connection, one, TODAY),
        "no_duplicates": checks.no_duplicates(connection, one, TODAY),
        "invariants": checks.invariants(connection, one, TODAY, ("1m", *ROLLED)),
        "made_of_trades": checks.made_of_trades(connection, one, TODAY, now=NOW),
        "agrees": checks.agrees(connection, one, TODAY),
        **{interval: rolled_up(connection, one, TODAY, interval, now=NOW) for interval in ROLLED},
    }


def red(connection: Connection) -> dict[str, str]:
    return {name: verdict.words for name, verdict in ask(connection).items() if not verdict.good}


@pytest.fixture
def built(connection: Connection) -> Feeder:
    """A good day, all of its intervals, and the exchange's own minutes."""
    feeder = Feeder(connection)
    feeder.apply(entry(TRADES))
    feeder.apply(entry(klines_of(TRADES), 2))
    feeder.close_all()
    build_day(connection, 1, TODAY, now=NOW)
    return feeder


def at(minutes: int) -> object:
    return moment(NOON + minutes * MINUTE)


def test_everything_is_green_on_a_good_day(built: Feeder, connection: Connection) -> None:
    verdicts = ask(connection)
    assert {name: one.words for name, one in verdicts.items() if not one.good} == {}
    assert verdicts["contiguous"].counts["held"] == len(TRADES)
    assert verdicts["made_of_trades"].counts["minutes"] == 134
    assert verdicts["agrees"].counts["compared"] > 100
    assert verdicts["5m"].counts["candles"] == 28


def test_an_altered_candle_is_red_by_its_trades_by_the_exchange_and_by_its_roll_up(
    built: Feeder, connection: Connection
) -> None:
    connection.execute(
        "UPDATE candle SET high = 200 WHERE source = 'trade' AND interval = '1m' AND open_time = %s", (at(7),)
    )
    found = red(connection)
    assert set(found) == {"made_of_trades", "agrees", *ROLLED}
    assert "1 of 134 minutes are not what their trades make" in found["made_of_trades"]
    assert ask(connection)["made_of_trades"].examples[0].endswith("high 200 instead of 102")


def test_a_candle_that_cannot_be_is_red(built: Feeder, connection: Connection) -> None:
    for change in ("low = 500", "volume = -1", "open = NULL", "taker_buy_volume = 10000", "last_id = 0"):
        with connection.transaction(force_rollback=True):
            connection.execute(
                f"UPDATE candle SET {change} WHERE source = 'trade' AND interval = '1m' AND open_time = %s",
                (at(7),),
            )
            assert not checks.invariants(connection, only(connection), TODAY).good, change


def test_a_deleted_trade_is_red(built: Feeder, connection: Connection) -> None:
    connection.execute("DELETE FROM trade WHERE sequence = 50")
    found = red(connection)
    assert set(found) == {"contiguous", "made_of_trades"}
    assert "1 held without a row" in found["contiguous"]


def test_a_duplicate_is_red(built: Feeder, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO trade SELECT instrument_id, event_time + interval '1 ms', sequence, price, quantity, "
        "side, first_id, last_id, flags, trade_id, mark_price, index_price, iv, receive_time FROM trade "
        "WHERE sequence = 50"
    )
    found = red(connection)
    assert set(found) == {"no_duplicates", "made_of_trades"}
    assert ask(connection)["no_duplicates"].examples == ("number 50: 2 rows",)


def test_a_number_that_two_days_hold_is_a_duplicate(built: Feeder, connection: Connection) -> None:
    built.apply(entry([trade(400, NOON + DAY)], 3))
    assert red(connection) == {}
    connection.execute("UPDATE coverage SET held = '{[399,401)}' WHERE day = %s", (day_of(NOON + DAY),))
    assert "on two days" in red(connection)["no_duplicates"]


def test_a_hole_inside_the_day_and_one_beside_it_are_red(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([one for one in TRADES if one.sequence not in (60, 61)]))
    build_day(connection, 1, TODAY, now=NOW)
    verdict = checks.contiguous(connection, only(connection), TODAY)
    assert (verdict.good, verdict.counts["missing"], verdict.examples) == (False, 2, ("trade: [60,62)",))
    feeder.apply(entry([trade(402, NOON + DAY)], 2))
    assert checks.contiguous(connection, only(connection), TODAY).counts["missing"] == 4
    feeder.apply(entry([trade(500, NOON + 4 * DAY)], 3))
    later = checks.contiguous(connection, only(connection), day_of(NOON + 4 * DAY))
    assert later.good, "nothing is known of the days between"


def test_an_open_gap_of_the_day_is_red_and_one_that_was_given_up_is_counted(
    built: Feeder, connection: Connection
) -> None:
    noted = Gap("BTCUSDT", Channel.TRADE, GapReason.SEQUENCE, 900, 901, NOON, NOON + 1, "here")
    elsewhere = Gap("ETHUSDT", Channel.TRADE, GapReason.SEQUENCE, 900, 901, NOON, NOON + 1, "here")
    numbers = Gap(None, Channel.QUOTE, GapReason.DISCONNECT, None, None, NOON, NOON + 1, "here")
    Feeder(connection, "state").apply(entry([noted, elsewhere, numbers], producer="other"))
    assert list(red(connection)) == ["open_gaps"]
    connection.execute("UPDATE gap SET state = 'unrepairable', closed_at = now()")
    verdict = checks.open_gaps(connection, only(connection), TODAY)
    assert (verdict.good, verdict.counts) == (True, {"open": 0, "given up": 1})


@pytest.mark.parametrize("interval", ROLLED)
def test_a_roll_up_that_is_not_its_minutes_is_red(
    built: Feeder, connection: Connection, interval: str
) -> None:
    connection.execute("UPDATE candle SET volume = volume + 1 WHERE interval = %s", (interval,))
    assert set(red(connection)) == {interval}
    connection.execute("DELETE FROM candle WHERE interval = %s", (interval,))
    assert "has minutes and no candle" in ask(connection)[interval].examples[0]
    assert roll_up_day(connection, 1, TODAY, now=NOW)[interval] > 0
    assert red(connection) == {}


def test_a_bucket_whose_minute_has_just_changed_waits_and_is_not_judged(
    built: Feeder, connection: Connection
) -> None:
    late = trade(1_000, NOON + 30_000_000)
    built.apply(entry([late], 3))
    verdict = ask(connection)["5m"]
    assert (verdict.good, verdict.counts["waiting"]) == (True, 1)
    refresh(connection, now=NOW)
    verdict = ask(connection)["5m"]
    assert (verdict.good, verdict.counts["waiting"]) == (True, 0)


def test_a_minute_whose_trades_are_there_and_its_candle_is_not_is_red_once_it_is_over(
    built: Feeder, connection: Connection
) -> None:
    connection.execute("DELETE FROM candle WHERE interval = '1m' AND open_time = %s", (at(20),))
    one = only(connection)
    found = checks.made_of_trades(connection, one, TODAY, now=NOW)
    assert found.examples[0].endswith("has trades and no candle")
    assert checks.made_of_trades(connection, one, TODAY, now=NOON + 20 * MINUTE).good


def test_several_instruments_are_one_verdict_and_what_is_wrong_is_said_of_each() -> None:
    good = Verdict(good=True, words="fine", counts={"held": 3})
    bad = Verdict(good=False, words="bad", counts={"held": 2}, examples=("here",))
    assert together([good, bad]) == Verdict(good=False, words="bad", counts={"held": 5}, examples=("here",))
    assert together([]).good


def test_coverage_and_rows_are_looked_at_in_one_moment(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a processor stores between two looks at the running day would be rows that nobody holds."""
    seen = []

    def look(asked: Connection, *_: object) -> list[Stretch]:
        seen.append(asked.execute("SHOW transaction_isolation").fetchone())
        return []

    monkeypatch.setattr(checks, "load_stretches", look)
    instrument = Listed(1, "binance_spot", "BTCUSDT", InstrumentKind.SPOT)
    assert checks.contiguous(connection, instrument, TODAY).good
    assert checks.no_duplicates(connection, instrument, TODAY).good
    assert seen == [("repeatable read",)] * 2

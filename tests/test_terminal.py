import io

from rich.console import Console

from trade_platform.adapters.database.overview import GapCounts, HeldTrades, StateOfExchange
from trade_platform.adapters.database.proof import Finding, TradeProof
from trade_platform.operations.doctor import Finding as Checked
from trade_platform.operations.doctor import Verdict
from trade_platform.operations.instruments import RecordedInstrument
from trade_platform.operations.status import InstrumentStatus, ProcessStatus, Status, StreamStatus
from trade_platform.operations.verify import InstrumentProof, Verification
from trade_platform.terminal import (
    StatusScreen,
    draw_status,
    print_findings,
    print_instruments,
    print_verification,
)


def paper() -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def held(symbol: str, count: int, missing: int = 0) -> InstrumentStatus:
    trades = HeldTrades(
        exchange="deribit", symbol=symbol, channel="trade", held=count, holes=bool(missing), missing=missing
    )
    return InstrumentStatus(trades=trades, last_price="100.5", age_seconds=3720.0)


def status(*instruments: InstrumentStatus) -> Status:
    return Status(
        processes=[
            ProcessStatus(name="streamer-deribit", pid=1, healthy=True, detail=""),
            ProcessStatus(name="processor-state", pid=2, healthy=False, detail="PostgreSQL is away"),
        ],
        streams=[StreamStatus(stream="market:deribit", length=1234, behind_seconds=0.25, stored=False)],
        instruments=list(instruments),
        states=[
            StateOfExchange(exchange="deribit", status="maintenance", scope="", reason="11051", event_time=1)
        ],
        candles=7,
        exchange_candles=9,
        numbers=12_345,
        gaps=2,
        dead_letters=0,
        ledger=GapCounts(open=1, unrepairable=1),
    )


def test_the_screen_shows_instruments_streams_processes_and_what_is_wrong() -> None:
    console = paper()
    console.print(draw_status(status(held("BTC-PERPETUAL", 1500, missing=3)), {}))
    shown = text_of(console)
    for piece in (
        "BTC-PERPETUAL", "100.5", "1,500", "market:deribit", "1,234", "0.25 s",
        "processor-state: PostgreSQL is away", "deribit, maintenance", "7 complete minutes",
        "1 of 2 processes",
        "12,345 numbers", "2 gaps noted: 1 open, 0 repaired, 1 beyond repair (0 of trades)", "62 m",
    ):  # fmt: skip
        assert piece in shown


def test_more_instruments_than_fit_are_counted_not_dropped_in_silence() -> None:
    console = paper()
    console.print(draw_status(status(*(held(f"OPTION-{number}", number) for number in range(50))), {}))
    shown = text_of(console)
    assert "OPTION-49" in shown
    assert "OPTION-1 " not in shown
    assert "10 more instruments" in shown


def test_a_short_terminal_cuts_instruments_and_nothing_else() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=80, height=30, force_terminal=True)
    with StatusScreen(console) as shown:
        shown.show(status(*(held(f"OPTION-{number}", number) for number in range(50))), "12 s to go")
    said = screen.getvalue()
    for piece in ("12 s to go", "PostgreSQL is away", "market:deribit", "more instruments"):
        assert piece in said


def test_off_a_terminal_the_first_status_is_printed_and_sentences_come_at_once() -> None:
    console = paper()
    with StatusScreen(console) as screen:
        screen.say("the simulator was started again")
        screen.show(status(held("BTC-PERPETUAL", 10)), "market time 12:00:05")
        screen.show(status(held("BTC-PERPETUAL", 20)))
    shown = text_of(console)
    assert "the simulator was started again" in shown
    assert shown.count("BTC-PERPETUAL") == 1
    assert "market time 12:00:05" in shown


def proof(**changes: int) -> InstrumentProof:
    counts = {
        "expected": 100,
        "rows": 100,
        "missing": 0,
        "duplicated": 0,
        "altered": 0,
        "extra": 0,
        **changes,
    }
    return InstrumentProof(
        trades=TradeProof(exchange="deribit", symbol="BTC-PERPETUAL", channel="trade", **counts),
        candles=2,
        candles_with_trades=2,
    )


def test_a_complete_verification_says_so() -> None:
    console = paper()
    print_verification(console, Verification(instruments=[proof()], findings=[], against="ledger"))
    assert "Complete: 100 trades of 1 instruments on 1 exchanges; missing 0, duplicated 0." in text_of(
        console
    )


def test_an_incomplete_verification_names_every_finding() -> None:
    console = paper()
    finding = Finding(
        exchange="deribit", symbol="BTC-PERPETUAL", what="missing", detail="sequence 42: price 1 quantity 2"
    )
    wrong = Verification(instruments=[proof(rows=99, missing=1)], findings=[finding], against="ledger")
    print_verification(console, wrong)
    shown = text_of(console)
    assert "deribit BTC-PERPETUAL missing: sequence 42" in shown
    assert "NOT complete" in shown
    assert not wrong.good


def test_nothing_recorded_proves_nothing() -> None:
    console = paper()
    empty = Verification(instruments=[], findings=[], against="coverage")
    print_verification(console, empty)
    assert "nothing is proven" in text_of(console)
    assert not empty.good


def test_instruments_are_shown_with_their_cost_and_what_is_not_known() -> None:
    console = paper()
    one = RecordedInstrument(
        exchange="deribit", symbol="BTC-PERPETUAL", kind="perpetual", channels=("candle", "trade"),
        rows_a_day=1440, unknown=("trade",),
    )  # fmt: skip
    print_instruments(console, [one])
    assert "1,440 + trade" in text_of(console)


def test_the_doctor_shows_what_to_do() -> None:
    console = paper()
    print_findings(console, [Checked("redis", Verdict.BAD, "refused", "Start the server.")])
    assert "Start the server." in text_of(console)

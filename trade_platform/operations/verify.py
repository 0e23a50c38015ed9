"""Completeness as a proof: what is held against what was emitted, row by row and candle by candle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import msgspec
import psycopg

from trade_platform.adapters.database.past_proof import PastProof, prove_past
from trade_platform.adapters.database.proof import (
    CandlePair,
    Finding,
    TradeProof,
    compare_trades,
    pair_candles,
    prove_from_coverage,
)
from trade_platform.adapters.ledger import LedgerCandle, LedgerTrade, ledgers, read_ledger

_UNIT = Decimal("0.00000001")
_FIELDS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
_VOLUMES = frozenset({"volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume"})


class InstrumentProof(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the verification."""

    trades: TradeProof
    candles: int = 0
    """Closed minutes with a complete candle of ours beside the ledger's."""
    candles_with_trades: int = 0
    candles_different: int = 0
    candles_missing: int = 0

    @property
    def good(self) -> bool:
        proof = self.trades
        wrong = proof.missing + proof.duplicated + proof.altered + proof.extra
        return not (wrong or proof.rows != proof.expected or self.candles_different or self.candles_missing)


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The whole proof."""

    instruments: list[InstrumentProof]
    findings: list[Finding]
    against: str
    """"ledger" of a simulator, or "coverage" where there is none."""

    @property
    def good(self) -> bool:
        return bool(self.instruments) and not self.findings and all(one.good for one in self.instruments)


def verify(
    connection: psycopg.Connection,
    data_folder: Path,
    *,
    progress: Callable[[str, int], None] = lambda _what, _count: None,
) -> Verification:
    """Compare the tables with the simulator's ledger where there is one, else with their own coverage.

    What is older than a ledger (it was read from the exchange's past) is held against its coverage too.
    ``progress`` hears of each ledger and how many lines of it were read. Raises LedgerUnreadable.
    """
    files = ledgers(data_folder)
    if not files:
        proofs = prove_from_coverage(connection)
        return Verification(
            instruments=[InstrumentProof(trades=proof) for proof in proofs], findings=[], against="coverage"
        )
    instruments: list[InstrumentProof] = []
    findings: list[Finding] = []
    for path in files:
        proven, found = _verify_exchange(connection, path, progress)
        instruments += proven
        findings += found
    return Verification(instruments=instruments, findings=findings, against="ledger")


def _verify_exchange(
    connection: psycopg.Connection, path: Path, progress: Callable[[str, int], None]
) -> tuple[list[InstrumentProof], list[Finding]]:
    exchange = path.stem
    candles: list[LedgerCandle] = []
    firsts: dict[tuple[str, str], int] = {}
    spans: dict[str, tuple[int, int]] = {}

    def trades() -> Iterator[LedgerTrade]:
        """Straight into the comparison: a ledger may be longer than memory."""
        for number, line in enumerate(read_ledger(path), 1):
            if number % 10_000 == 0:
                progress(exchange, number)
            if isinstance(line, LedgerTrade):
                first, _ = spans.get(line.symbol, (line.event_time, 0))
                spans[line.symbol] = (first, line.event_time)
                key = (line.symbol, line.channel)
                firsts[key] = min(line.sequence, firsts.get(key, line.sequence))
                yield line
            else:
                candles.append(line)

    proofs, findings = compare_trades(connection, exchange, trades())
    past = prove_past(connection, exchange, firsts)
    proofs = _with_past(exchange, proofs, past)
    findings += [_of_past(exchange, one) for one in past if one.rows != one.covered]
    pairs = list(pair_candles(connection, exchange, candles, spans))
    findings += [finding for pair in pairs for finding in candle_findings(exchange, pair)]
    return [
        _with_candles(proof, [pair for pair in pairs if pair.ledger.symbol == proof.symbol])
        for proof in proofs
    ], findings


def _with_past(exchange: str, proofs: list[TradeProof], past: list[PastProof]) -> list[TradeProof]:
    """What is older than a ledger is no surplus: it is counted against its coverage."""
    known = {(proof.symbol, proof.channel): proof for proof in proofs}
    for one in past:
        key = (one.symbol, one.channel)
        proof = known.get(key) or _nothing_of(exchange, *key)
        known[key] = msgspec.structs.replace(
            proof,
            expected=proof.expected + one.covered,
            rows=proof.rows + one.rows,
            missing=proof.missing + max(one.covered - one.rows, 0),
            extra=proof.extra + max(one.rows - one.covered, 0),
        )
    return [known[key] for key in sorted(known)]


def _nothing_of(exchange: str, symbol: str, channel: str) -> TradeProof:
    return TradeProof(
        exchange=exchange,
        symbol=symbol,
        channel=channel,
        expected=0,
        rows=0,
        missing=0,
        duplicated=0,
        altered=0,
        extra=0,
    )


def _of_past(exchange: str, one: PastProof) -> Finding:
    return Finding(
        exchange=exchange,
        symbol=one.symbol,
        what="missing" if one.rows < one.covered else "extra",
        detail=f"before the ledger begins: {one.rows} rows, but coverage of {one.covered} numbers",
    )


def _with_candles(proof: TradeProof, pairs: list[CandlePair]) -> InstrumentProof:
    held = [pair for pair in pairs if pair.ours is not None]
    return InstrumentProof(
        trades=proof,
        candles=len(held),
        candles_with_trades=sum(Decimal(pair.ledger.volume) > 0 for pair in held),
        candles_different=sum(bool(differences(proof.exchange, pair)) for pair in held),
        candles_missing=sum(pair.ours is None and pair.due for pair in pairs),
    )


def candle_findings(exchange: str, pair: CandlePair) -> list[Finding]:
    """What is wrong with one minute, as sentences: with ours, and with the exchange's as we stored it."""
    where = f"minute {pair.ledger.open_time}"
    if pair.ours is None and pair.due:
        found = [("candle", f"{where}: no complete candle is held")]
    else:
        found = [("candle", f"{where}: {detail}") for detail in differences(exchange, pair)]
    found += [("exchange candle", f"{where}: {detail}") for detail in stored_otherwise(pair)]
    return [
        Finding(exchange=exchange, symbol=pair.ledger.symbol, what=what, detail=detail)
        for what, detail in found
    ]


def differences(exchange: str, pair: CandlePair) -> list[str]:
    """Fields in which our candle is not the ledger's, as ``name held, emitted``.

    Binance truncates sums to 8 decimals, and ours must equal that exactly. Deribit's rounding of volume
    is not known: one unit of the eighth decimal is tolerated there. A field that the exchange does not
    report is not compared.
    """
    return _compare(pair.ours, pair, lambda name, ours, theirs: _same(exchange, name, ours, theirs))


def stored_otherwise(pair: CandlePair) -> list[str]:
    """Fields in which the exchange's closed candle was not stored as it was sent; exact in every one."""
    return _compare(pair.theirs, pair, lambda _, stored, sent: stored == sent)


def _compare(
    held: tuple[Decimal | int | None, ...] | None,
    pair: CandlePair,
    same: Callable[[str, Decimal, Decimal], bool],
) -> list[str]:
    found = []
    for name, value in zip(_FIELDS, held or (None,) * len(_FIELDS), strict=True):
        emitted = getattr(pair.ledger, name)
        if held is None or emitted is None:
            continue
        if value is None or not same(name, Decimal(value), Decimal(emitted)):
            found.append(f"{name} held {value}, emitted {emitted}")
    return found


def _same(exchange: str, name: str, ours: Decimal, theirs: Decimal) -> bool:
    if name not in _VOLUMES:
        return ours == theirs
    if exchange == "deribit":
        return abs(ours - theirs) <= _UNIT
    return ours.quantize(_UNIT, rounding=ROUND_DOWN) == theirs

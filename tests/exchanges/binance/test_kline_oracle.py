"""The kline oracle: a kline message plus the aggregate trades after it is the next kline message, exactly.

Where the next message ends inside an aggregate the same anchor is kept for the one after, so no message
is skipped that can be checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

import pytest

from trade_platform.domain.model import Candle, Channel, Side, Trade
from trade_platform.exchanges.binance.session import BinanceSession

EIGHT = Decimal("1e-8")
MINUTE = 60_000_000

# file → messages checked against the message just before, and in all
SESSIONS = {
    "binance_spot/2021-04-17_thin_symbols_aggtrade_kline_depth": (12, 13),
    "binance_spot/2021-08-14_minute_crossing_aggtrade_kline_depth": (14, 14),
    "binance_usdm/2021-04-17_four_symbols_aggtrade_kline_depth": (62, 76),
}


def merged(anchor: Candle | None, trades: list[Trade], last: Candle) -> dict[str, object]:
    """What the exchange should say after these trades: written anew, from the reference alone."""
    prices = [trade.price for trade in trades]
    buys = [trade for trade in trades if trade.side is Side.BUY]
    before = [] if anchor is None else [anchor]

    def total(start: str, values: list[Decimal]) -> Decimal:
        return sum(values, start=sum((getattr(one, start) for one in before), Decimal(0)))

    def truncated(value: Decimal) -> Decimal:
        return value.quantize(EIGHT, rounding=ROUND_DOWN)

    return {
        "open_time": last.open_time,
        "open": anchor.open if anchor else prices[0],
        "high": max([one.high for one in before] + prices),
        "low": min([one.low for one in before] + prices),
        "close": prices[-1] if prices else anchor.close,
        "volume": total("volume", [trade.quantity for trade in trades]),
        "quote_volume": truncated(total("quote_volume", [one.price * one.quantity for one in trades])),
        "taker_buy_volume": total("taker_buy_volume", [trade.quantity for trade in buys]),
        "taker_buy_quote_volume": truncated(
            total("taker_buy_quote_volume", [one.price * one.quantity for one in buys])
        ),
        "trades": sum(one.trades for one in before) + sum(one.last_id - one.first_id + 1 for one in trades),
        "first_id": anchor.first_id if anchor else trades[0].first_id,
        "last_id": trades[-1].last_id if trades else anchor.last_id,
    }


def read(session: BinanceSession, recorded: list[tuple[int, str]]) -> tuple[dict, dict]:
    trades, candles = defaultdict(list), defaultdict(list)
    for receive_time, text in recorded:
        for output in session.receive(text, receive_time):
            if isinstance(output, Trade):
                trades[output.symbol].append(output)
            elif isinstance(output, Candle):
                candles[output.symbol].append(output)
    return trades, candles


@pytest.mark.parametrize("name", SESSIONS)
def test_a_kline_and_the_trades_after_it_make_the_next_kline(
    name: str, frames: Callable[[str], list[tuple[int, str]]], session: Callable[..., BinanceSession]
) -> None:
    recorded = frames(name)
    symbols = {text.partition('"s":"')[2].partition('"')[0] for _, text in recorded}
    ours = session(
        name.partition("/")[0],
        *((symbol, channel) for symbol in symbols for channel in (Channel.AGGREGATE_TRADE, Channel.CANDLE)),
    )
    trades, candles = read(ours, recorded)
    adjacent = checked = 0
    for symbol, messages in candles.items():
        anchor = previous = messages[0]
        for candle in messages[1:]:
            same_minute = anchor.open_time == candle.open_time
            after = anchor.last_id if same_minute else candle.first_id - 1
            between = [
                one for one in trades[symbol] if after < one.first_id and one.last_id <= candle.last_id
            ]
            whole = sum(one.last_id - one.first_id + 1 for one in between) == candle.last_id - after
            if whole:
                expected = merged(anchor if same_minute else None, between, candle)
                assert {field: getattr(candle, field) for field in expected} == expected
                assert all(0 <= one.event_time - candle.open_time < MINUTE for one in between)
                checked += 1
                adjacent += anchor is previous
            if whole or ends_inside(trades[symbol], anchor):
                anchor = candle
            previous = candle
    assert (adjacent, checked) == SESSIONS[name]


def ends_inside(trades: list[Trade], candle: Candle) -> bool:
    """Whether an aggregate has begun within the message and goes on after it: no message can follow on."""
    return any(one.first_id <= candle.last_id < one.last_id for one in trades)


def test_the_closed_kline_of_the_crossing_holds_the_same_numbers_as_the_last_running_one(
    frames: Callable[[str], list[tuple[int, str]]], session: Callable[..., BinanceSession]
) -> None:
    name = "binance_spot/2021-08-14_minute_crossing_aggtrade_kline_depth"
    symbols = ["FTMUSDT", "SXPBTC", "XMRBTC"]
    _, candles = read(session("binance_spot", *((one, Channel.CANDLE) for one in symbols)), frames(name))
    closed = [one for messages in candles.values() for one in messages if one.closed]
    assert [(one.symbol, one.trades, one.last_id) for one in closed] == [
        ("FTMUSDT", 82, 38248914),
        ("SXPBTC", 15, 17567414),
    ]
    # Σ price·quantity of this one has nine decimals: 0.00064706 + 0.228·0.005773 = 0.001963304
    running = [one for one in candles["XMRBTC"] if one.trades == 3]
    assert [one.quote_volume for one in running] == [Decimal("0.00196330")]

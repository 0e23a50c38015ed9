"""Which channel, by the platform's words, a stream is: by it faults are aimed."""

from __future__ import annotations

from functools import lru_cache

from streamers.simulator.capture import split
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Frame

WORDS = {
    "trade": "trade",
    "trades": "trade",
    "aggTrade": "aggregate_trade",
    "kline": "candle",
    "chart": "candle",
    "bookTicker": "quote",
    "quote": "quote",
    "ticker": "ticker",
    "miniTicker": "ticker",
    "markPrice": "mark",
    "markprice": "mark",
    "forceOrder": "liquidation",
    "deribit_price_index": "index",
    "deribit_volatility_index": "volatility",
    "instrument": "instrument_state",
    "contractInfo": "instrument_state",
    "platform_state": "platform",
    "announcements": "platform",
    "serverShutdown": "platform",
}


@lru_cache(maxsize=8192)
def aim_of(exchange: str, stream: str) -> tuple[str, str]:
    """(symbol, channel); a kind of stream that the platform has no word for keeps its own."""
    symbol, kind = split(exchange, stream)
    if stream.startswith("!"):
        kind = stream[1:]
    kind = kind.partition("@")[0].partition("_1m")[0]
    return symbol, WORDS.get(kind, kind)


def is_aimed(fault: Fault, exchange: str, frame: Frame) -> bool:
    """Whether a fault means this frame."""
    if not fault.symbol and not fault.channel:
        return True
    symbol, channel = aim_of(exchange, frame.stream)
    if fault.channel and channel != fault.channel:
        return False
    return not fault.symbol or symbol == fault.symbol or f'"{fault.symbol}"' in frame.data

"""Binance's JSON events, key by key as the wire has them."""

from __future__ import annotations

from collections.abc import Iterable

from streamers.simulator.source import Quote
from streamers.simulator.statistics import Day
from streamers.simulator.tape import Print, Row


def truth(flag: bool) -> str:
    """A JSON boolean."""
    return "true" if flag else "false"


def array_of(items: Iterable[str]) -> str:
    """A JSON array of texts that are JSON already."""
    return f"[{','.join(items)}]"


def spot_trade(symbol: str, one: Print) -> str:
    """``@trade``."""
    return (
        f'{{"e":"trade","E":{one.time},"s":"{symbol}","t":{one.sequence},"p":"{one.price}",'
        f'"q":"{one.quantity}","T":{one.time},"m":{truth(not one.buy)},"M":true}}'
    )


def usdm_trade(symbol: str, one: Print) -> str:
    """``@trade`` of USD-M (undocumented)."""
    return (
        f'{{"e":"trade","E":{one.time},"T":{one.time},"s":"{symbol}","t":{one.sequence},"p":"{one.price}",'
        f'"q":"{one.quantity}","X":"MARKET","m":{truth(not one.buy)},"st":1}}'
    )


def spot_aggregate(symbol: str, one: Print, event_time: int) -> str:
    """``@aggTrade``."""
    return (
        f'{{"e":"aggTrade","E":{event_time},"s":"{symbol}","a":{one.sequence},"p":"{one.price}",'
        f'"q":"{one.quantity}","f":{one.first_id},"l":{one.last_id},"T":{one.time},'
        f'"m":{truth(not one.buy)},"M":true}}'
    )


def usdm_aggregate(symbol: str, one: Print, event_time: int) -> str:
    """``@aggTrade`` of USD-M."""
    return (
        f'{{"e":"aggTrade","E":{event_time},"a":{one.sequence},"s":"{symbol}","p":"{one.price}",'
        f'"q":"{one.quantity}","nq":"{one.quantity}","f":{one.first_id},"l":{one.last_id},"T":{one.time},'
        f'"m":{truth(not one.buy)},"st":1}}'
    )


def spot_quote(symbol: str, quote: Quote) -> str:
    """``@bookTicker``: no type, no time."""
    return (
        f'{{"u":{quote.update},"s":"{symbol}","b":"{quote.bid}","B":"{quote.bid_quantity}",'
        f'"a":"{quote.ask}","A":"{quote.ask_quantity}"}}'
    )


def usdm_quote(symbol: str, quote: Quote) -> str:
    """``@bookTicker`` of USD-M."""
    return (
        f'{{"e":"bookTicker","u":{quote.update},"s":"{symbol}","b":"{quote.bid}","B":"{quote.bid_quantity}",'
        f'"a":"{quote.ask}","A":"{quote.ask_quantity}","T":{quote.time},"E":{quote.time},"st":1}}'
    )


def candle(symbol: str, row: Row, *, closed: bool, event_time: int) -> str:
    """``@kline_1m``."""
    return (
        f'{{"e":"kline","E":{event_time},"s":"{symbol}","k":{{"t":{row.open_time},'
        f'"T":{row.open_time + 59_999},'
        f'"s":"{symbol}","i":"1m","f":{row.first_id},"L":{row.last_id},"o":"{row.open}","c":"{row.close}",'
        f'"h":"{row.high}","l":"{row.low}","v":"{row.volume}","n":{row.trades},"x":{truth(closed)},'
        f'"q":"{row.quote_volume}","V":"{row.taker_volume}","Q":"{row.taker_quote_volume}","B":"0"}}}}'
    )


def ticker(symbol: str, day: Day, last_quantity: str, quote: Quote | None, time: int) -> str:
    """The 24 h ticker; spot's holds the quote and the previous close, USD-M's does not."""
    more = (
        f'"x":"{day.open}","b":"{quote.bid}","B":"{quote.bid_quantity}",'
        f'"a":"{quote.ask}","A":"{quote.ask_quantity}",'
        if quote
        else ""
    )
    return (
        f'{{"e":"24hrTicker","E":{time},"s":"{symbol}","p":"{day.change}","P":"{day.percent}",'
        f'"w":"{day.average}",{more}"c":"{day.close}","Q":"{last_quantity}","o":"{day.open}","h":"{day.high}",'
        f'"l":"{day.low}","v":"{day.volume}","q":"{day.quote_volume}","O":{day.open_time},"C":{time},'
        f'"F":{day.first_id},"L":{day.last_id},"n":{day.trades}}}'
    )


def small_ticker(symbol: str, day: Day, time: int) -> str:
    """``@miniTicker``."""
    return (
        f'{{"e":"24hrMiniTicker","E":{time},"s":"{symbol}","c":"{day.close}","o":"{day.open}","h":"{day.high}",'
        f'"l":"{day.low}","v":"{day.volume}","q":"{day.quote_volume}"}}'
    )


def mark(symbol: str, figures: tuple[str, str, str, int], time: int) -> str:
    """``figures``: mark, index, funding rate, next funding time."""
    price, index, rate, funding_time = figures
    return (
        f'{{"e":"markPriceUpdate","E":{time},"s":"{symbol}","p":"{price}","ap":"{price}","P":"{index}",'
        f'"i":"{index}","r":"{rate}","T":{funding_time},"st":1}}'
    )


def liquidation(symbol: str, one: Print) -> str:
    """``@forceOrder``."""
    side = "BUY" if one.buy else "SELL"
    return (
        f'{{"e":"forceOrder","E":{one.time},"o":{{"s":"{symbol}","S":"{side}","o":"LIMIT","f":"IOC",'
        f'"q":"{one.quantity}","p":"{one.price}","ap":"{one.price}","X":"FILLED","l":"{one.quantity}",'
        f'"z":"{one.quantity}","T":{one.time}}}}}'
    )

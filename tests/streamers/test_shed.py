from __future__ import annotations

from decimal import Decimal

from streamers.shed import Shed
from trade_platform.domain.model import Channel, GapReason, Instrument, Metric, Number, Side, Trade


def trade(sequence: int, at: int) -> Trade:
    return Trade("AAA", sequence, Decimal(1), Decimal(1), Side.BUY, at, at, sequence, sequence)


def test_what_is_shed_becomes_one_gap_per_symbol_and_channel() -> None:
    shed = Shed()
    assert not shed
    shed.add([trade(5, 100), trade(6, 110)])
    shed.add([trade(7, 120), Number("AAA", Metric.BEST_BID, Decimal(1), 1, 130, Channel.QUOTE)])
    shed.add([Instrument(symbol="AAA")])
    assert shed
    trades, quotes = shed.take()
    assert (trades.symbol, trades.channel, trades.reason) == ("AAA", Channel.TRADE, GapReason.SHED)
    assert (trades.first_sequence, trades.last_sequence) == (5, 7)
    assert (trades.since, trades.until) == (100, 121)
    assert (quotes.channel, quotes.first_sequence, quotes.since, quotes.until) == (
        Channel.QUOTE,
        None,
        130,
        131,
    )
    assert not shed
    assert shed.records == 5

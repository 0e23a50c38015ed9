"""The exchange simulator: the server half of each protocol, a market, faults, and a ledger of all it emitted.

It is the oracle of the tests: it shares no parser and no candle code with what it judges.
"""

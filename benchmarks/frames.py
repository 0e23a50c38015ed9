"""Aggregate trades as Binance USD-M writes them on a combined stream: text, WebSocket frames, chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
FIRST: Final = 3_000_000_001
"""Sequence of each symbol's first trade."""
CHUNK_FRAMES: Final = 320
"""Some 64 kB: one write of the exchange."""
TEXT_FINAL: Final = b"\x81"


def stream_name(symbol: str) -> str:
    return f"{symbol.lower()}@aggTrade"


def price_of(sequence: int) -> str:
    return f"{67000 + sequence * 7919 % 1000}.{sequence * 31 % 100:02}"


def quantity_of(sequence: int) -> str:
    return f"0.{100 + sequence * 17 % 900}"


def trade_text(symbol: str, sequence: int, time: int) -> bytes:
    """One message, about 190 bytes; ``time`` in milliseconds."""
    price, quantity = price_of(sequence), quantity_of(sequence)
    maker = "true" if sequence % 2 else "false"
    return (
        f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{time},"a":{sequence},'
        f'"s":"{symbol}","p":"{price}","q":"{quantity}","nq":"{quantity}","f":{sequence},"l":{sequence},'
        f'"T":{time},"m":{maker}}}}}'
    ).encode()


def frame(payload: bytes, opening: bytes = TEXT_FINAL) -> bytes:
    """A server's frame: whole, unmasked."""
    length = len(payload)
    if length < 126:
        return opening + bytes([length]) + payload
    if length < 65536:
        return opening + b"\x7e" + length.to_bytes(2, "big") + payload
    return opening + b"\x7f" + length.to_bytes(8, "big") + payload


class Tape:
    """Trades of all symbols in turn; each symbol's sequences are contiguous."""

    def __init__(self, symbols: Sequence[str] = SYMBOLS) -> None:
        self.last = dict.fromkeys(symbols, FIRST - 1)
        """Of what was taken."""
        self.taken = 0
        self._symbols = symbols

    def next(self, time: int) -> bytes:
        """The frame of the next trade."""
        return self.next_of(self._symbols[self.taken % len(self._symbols)], time)

    def next_of(self, symbol: str, time: int) -> bytes:
        self.taken += 1
        self.last[symbol] = sequence = self.last[symbol] + 1
        return frame(trade_text(symbol, sequence, time))

    def chunks(self, count: int, time: int, per_millisecond: int = 200) -> Iterator[bytes]:
        """So many frames, joined for writing; the trades' time begins at ``time``."""
        frames = (self.next(time + number // per_millisecond) for number in range(count))
        while chunk := b"".join(islice(frames, CHUNK_FRAMES)):
            yield chunk

"""The simulator's own count of a minute; nothing of it is shared with the platform's."""

from __future__ import annotations

from decimal import Decimal

from streamers.simulator.figures import WIDE, cut, fixed, rounded
from streamers.simulator.listing import Listing
from streamers.simulator.tape import Row


class Minute:
    """Figures of one running minute, as exact integers (and one exact fraction for inverse contracts)."""

    def __init__(self, open_time: int, price: int) -> None:
        """A minute begins as a filler: the previous close, and nothing traded."""
        self.open_time = open_time
        self.open = self.high = self.low = self.close = price
        self.volume = self.turnover = self.trades = self.taker_volume = self.taker_turnover = 0
        self.first_id = self.last_id = -1
        self.base = Decimal(0)

    def count(
        self, price: int, quantity: int, *, buy: bool, first_id: int, last_id: int, inverse: bool = False
    ) -> None:
        """One fill, or several at one price (ids first to last)."""
        if not self.trades:
            self.open = self.high = self.low = price
            self.first_id = first_id
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += quantity
        self.turnover += price * quantity
        self.trades += last_id - first_id + 1
        self.last_id = last_id
        if buy:
            self.taker_volume += quantity
            self.taker_turnover += price * quantity
        if inverse:
            self.base = WIDE.add(self.base, WIDE.divide(Decimal(quantity), Decimal(price)))

    def binance_row(self, listing: Listing) -> Row:
        """As Binance shows it: quote volumes cut at eight decimals, ids -1 where nothing traded."""
        p, q = listing.price_decimals, listing.quantity_decimals
        return Row(
            self.open_time // 1000,
            fixed(self.open, p),
            fixed(self.high, p),
            fixed(self.low, p),
            fixed(self.close, p),
            fixed(self.volume, q),
            cut(self.turnover, p + q, 8),
            self.trades,
            fixed(self.taker_volume, q),
            cut(self.taker_turnover, p + q, 8),
            self.first_id,
            self.last_id,
        )

    def deribit_row(self, listing: Listing) -> Row:
        """As Deribit shows it: volume in base, cost in quote currency; eight decimals (our choice)."""
        p, q = listing.price_decimals, listing.quantity_decimals
        if listing.inverse:
            volume = f"{rounded(WIDE.scaleb(self.base, p - q)):f}"
            cost = fixed(self.volume, q)
        else:
            volume = fixed(self.volume, q)
            cost = f"{rounded(Decimal(self.turnover).scaleb(-p - q, WIDE)):f}"
        return Row(
            self.open_time // 1000,
            fixed(self.open, p),
            fixed(self.high, p),
            fixed(self.low, p),
            fixed(self.close, p),
            volume,
            cost,
            None,
            None,
            None,
            None,
            None,
        )


def roll_up(rows: list[Row], open_time: int) -> Row:
    """Several minutes as one longer candle."""
    traded = [row for row in rows if row.first_id is not None and row.first_id >= 0]

    def total(figures: list[str]) -> str:
        return f"{sum(map(Decimal, figures), Decimal(0)):f}"

    taker = None if rows[0].taker_volume is None else total([row.taker_volume or "0" for row in rows])
    taker_quote = (
        None if rows[0].taker_quote_volume is None else total([row.taker_quote_volume or "0" for row in rows])
    )
    return Row(
        open_time,
        rows[0].open,
        max((row.high for row in rows), key=Decimal),
        min((row.low for row in rows), key=Decimal),
        rows[-1].close,
        total([row.volume for row in rows]),
        total([row.quote_volume for row in rows]),
        None if rows[0].trades is None else sum(row.trades or 0 for row in rows),
        taker,
        taker_quote,
        None if rows[0].first_id is None else traded[0].first_id if traded else -1,
        None if rows[0].last_id is None else traded[-1].last_id if traded else -1,
    )

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.database.booking import balance, fill, movement, order, position
from trade_platform.adapters.bus import (
    ACCOUNT_KIND_OF,
    EVENTS,
    KIND_OF,
    KINDS,
    NEVER_SHED,
    STATE_STREAM,
    Entry,
    UnreadableEntry,
    account_of,
    account_stream,
    encode,
    heard_key,
    market_stream,
    stream_of,
)
from trade_platform.domain.accounts import ACCOUNT_KINDS, AccountRecord, Blindness
from trade_platform.domain.model import Record, Side, Trade

TRADE = Trade(
    symbol="BTCUSDT",
    sequence=7,
    price=Decimal("100.10"),
    quantity=Decimal("0.5"),
    side=Side.BUY,
    first_id=7,
    last_id=7,
    event_time=1,
    receive_time=2,
)


def entry(data: bytes = b"[]", kind: str = "trade") -> Entry:
    return Entry(kind=kind, producer="streamer:1", n=3, since=4, exchange="deribit", data=data)


def as_read(given_entry: Entry) -> dict[bytes, bytes]:
    """What Redis gives back for what was added."""
    return {
        name.encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in given_entry.fields().items()
    }


def test_an_entry_survives_redis() -> None:
    sent = entry(encode([TRADE, TRADE]))
    received = Entry.from_fields(as_read(sent))
    assert received == sent
    assert received.records() == [TRADE, TRADE]


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_digit_of_a_price_survives(price: Decimal) -> None:
    trade = Trade(**{**{name: getattr(TRADE, name) for name in Trade.__struct_fields__}, "price": price})
    [received] = entry(encode([trade])).records()
    assert isinstance(received, Trade)
    assert received.price.as_tuple() == price.as_tuple()


@pytest.mark.parametrize("missing", ["v", "kind", "producer", "n", "since", "exchange", "data"])
def test_an_entry_without_a_field_is_unreadable(missing: str) -> None:
    fields = as_read(entry())
    del fields[missing.encode()]
    with pytest.raises(UnreadableEntry, match="not an entry"):
        Entry.from_fields(fields)


def test_another_version_is_unreadable() -> None:
    with pytest.raises(UnreadableEntry, match="version 2"):
        Entry.from_fields({**as_read(entry()), b"v": b"2"})


@given(
    st.dictionaries(
        st.sampled_from([b"v", b"kind", b"producer", b"n", b"since", b"exchange", b"data"]), st.binary()
    )
)
def test_rubbish_is_unreadable_and_nothing_else(fields: dict[bytes, bytes]) -> None:
    with suppress(UnreadableEntry):
        Entry.from_fields({**as_read(entry()), **fields}).records()


def test_an_unknown_kind_is_unreadable() -> None:
    with pytest.raises(UnreadableEntry, match="kind 'rumour'"):
        entry(kind="rumour").records()


def test_every_kind_has_its_record_and_its_stream() -> None:
    assert set(KINDS.values()) == set(Record.__args__)
    for record, kind in KIND_OF.items():
        assert KINDS[kind] is record
        expected = STATE_STREAM if kind in EVENTS else market_stream("deribit")
        assert stream_of("deribit", kind) == expected


def test_an_account_s_records_survive_the_bus() -> None:
    for kind, records in RECORDS.items():
        batch = Entry(kind, "account:1", 1, 2, "deribit", encode(records))
        assert Entry.from_fields(as_read(batch)).account_records() == records


RECORDS: dict[str, list[AccountRecord]] = {
    ACCOUNT_KIND_OF[type(record)]: [record]
    for record in (order(), fill(), balance(), position(), movement(), Blindness(1, "why", 2))
}


def test_neither_lane_reads_the_other_s_records() -> None:
    """A fill on a market's stream would be nobody's."""
    with pytest.raises(UnreadableEntry, match="kind 'fill' is not known here"):
        Entry("fill", "account:1", 1, 2, "deribit", encode([fill()])).records()
    with pytest.raises(UnreadableEntry, match="kind 'trade' is not known here"):
        entry().account_records()


def test_an_account_s_stream_names_exchange_and_account() -> None:
    stream = account_stream("binance_usdm", "operator.main")
    assert stream == "account:binance_usdm:operator.main"
    assert account_of(stream) == ("binance_usdm", "operator.main")
    assert heard_key(stream) == "heard:account:binance_usdm:operator.main"


def test_of_an_account_nothing_is_shed() -> None:
    assert {*ACCOUNT_KINDS, *EVENTS} == set(NEVER_SHED)

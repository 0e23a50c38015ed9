from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.database.booking import (
    ACCOUNT,
    NOON,
    add_account,
    as_owner,
    balance,
    emptied,
    fill,
    movement,
    order,
    position,
    put,
    rows,
)
from trade_platform.adapters.database.books import NoSuchAccount, Owner, find_owner, read
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.domain.accounts import (
    AccountNote,
    Balance,
    Blindness,
    Fill,
    NoteKind,
    OrderEvent,
    OrderState,
    Origin,
    Position,
)


@pytest.fixture
def owner(connection: Connection) -> Owner:
    return add_account(connection)


def orders(connection: Connection, owner: Owner) -> list[OrderEvent]:
    with as_owner(connection, owner):
        return read(connection, owner, OrderEvent, "account_order")


def test_an_account_that_nobody_added_is_said_so(connection: Connection) -> None:
    with pytest.raises(NoSuchAccount, match=r"operator\.nobody.*account list"):
        find_owner(connection, "operator.nobody")
    assert add_account(connection) == find_owner(connection, ACCOUNT)


def test_a_record_comes_back_as_it_was_told(connection: Connection, owner: Owner) -> None:
    """Each field, to the last digit, what is not told included."""
    told = [
        order(trigger_price=Decimal("99.10"), label="grid", reduce_only=True, created=NOON, update=7),
        fill(realized_pnl=Decimal("-1.10"), maker=False, sequence=5, combo=True),
        movement(balance=Decimal("3.30"), fee=Decimal("0.01"), sequence=8),
        balance(equity=Decimal("11.5"), shared_margin=True),
        position(quantity="-10.0", position_side="SHORT", asset="BTC"),
        Blindness(NOON, "closed", NOON + 5),
        AccountNote(NoteKind.LOCK, "locked", NOON, NOON + 1),
    ]
    for record in told:
        assert put(connection, owner, record).new == 1
        with as_owner(connection, owner):
            assert read(connection, owner, type(record)) == [record]


def test_no_tenant_sees_another_s_rows(connection: Connection, owner: Owner) -> None:
    put(connection, owner, fill())
    stranger = msgspec.structs.replace(owner, tenant_id="00000000-0000-4000-8000-00000000000f")
    with as_owner(connection, stranger):
        assert connection.execute("SELECT count(*) FROM fill").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_owner(connection, stranger):
        connection.execute("INSERT INTO blindness VALUES (%s, %s, now(), '', now())", [owner.tenant_id, 1])


def test_what_happened_to_an_order_is_never_changed(connection: Connection, owner: Owner) -> None:
    put(connection, owner, order())
    for statement in ("UPDATE order_event SET filled = 1", "DELETE FROM order_event"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_owner(connection, owner):
            connection.execute(statement)


# --- the state of an order ---

NEW = order(0, label="grid", created=NOON)
PART = order(
    5, status="PARTIALLY_FILLED", event="TRADE", filled=Decimal("0.50"), average_price=Decimal("100.5")
)
MORE = order(
    5, status="PARTIALLY_FILLED", event="TRADE", filled=Decimal("0.75"), average_price=Decimal("100.4")
)
AMENDED = order(6, event="AMENDMENT", filled=Decimal("0.75"), quantity=Decimal("1.25"), update=3)
SNAPSHOT = order(
    6, event="", filled=Decimal("0.75"), quantity=Decimal("1.25"), origin=Origin.SNAPSHOT, update=3
)
BEHIND = order(9, event="", filled=Decimal("0.50"), origin=Origin.SNAPSHOT)
"""REST that is behind the stream stamps what it tells later than it stood."""
CANCELLED = order(
    7, state=OrderState.CANCELLED, status="CANCELED", event="CANCELED", filled=Decimal("0.75"),
    quantity=Decimal("1.25"), reason="user_request",
)  # fmt: skip
WAITS = order(0, state=OrderState.UNTRIGGERED, status="untriggered", event="", order_id="SLTB-1")
TRIGGERED = order(3, state=OrderState.TRIGGERED, status="triggered", event="", order_id="SLTB-1")
LIFE = (NEW, PART, MORE, AMENDED, SNAPSHOT, BEHIND, CANCELLED, WAITS, TRIGGERED)


@pytest.fixture(scope="module")
def kept(two_databases: tuple[str, str]) -> Iterator[tuple[Connection, Owner]]:
    """A database that each example of a property empties."""
    with connect(two_databases[0], name="test") as connection:
        connection.execute("DELETE FROM account")
        yield connection, add_account(connection)
        emptied(connection)
        connection.execute("DELETE FROM account")


@settings(max_examples=60)
@given(st.data())
def test_any_order_of_arrival_gives_the_same_final_state(
    kept: tuple[Connection, Owner], data: st.DataObject
) -> None:
    """Permuted, repeated, and cut into batches at will."""
    connection, owner = kept
    emptied(connection)
    repeated = data.draw(st.lists(st.sampled_from(LIFE), max_size=6))
    events = data.draw(st.permutations([*LIFE, *repeated]))
    while events:
        size = data.draw(st.integers(1, len(events)))
        batch, events = events[:size], events[size:]
        put(connection, owner, *batch)
    found = {one.order_id: one for one in orders(connection, owner)}
    assert len(rows(connection, "order_event")) == len(LIFE)
    assert found["SLTB-1"] == TRIGGERED
    assert found[NEW.order_id] == msgspec.structs.replace(
        CANCELLED, label="grid", created=NOON, average_price=Decimal("100.4")
    )
    assert rows(connection, "book_conflict") == []


def test_what_is_filled_is_never_less(connection: Connection, owner: Owner) -> None:
    put(connection, owner, MORE)
    put(connection, owner, BEHIND)
    assert [one.filled for one in orders(connection, owner)] == [Decimal("0.75")]


def test_a_final_order_stays_final(connection: Connection, owner: Owner) -> None:
    put(connection, owner, CANCELLED)
    put(connection, owner, order(60, event="TRADE", filled=Decimal("0.75")))
    assert [one.state for one in orders(connection, owner)] == [OrderState.CANCELLED]


def test_an_order_that_somebody_altered_is_derived_anew(connection: Connection, owner: Owner) -> None:
    """The next event, new or not, brings it back."""
    put(connection, owner, NEW)
    connection.execute("UPDATE account_order SET filled = 1.5, state = 'filled'")
    put(connection, owner, NEW)
    assert orders(connection, owner) == [NEW]


# --- fills and movements ---


def test_a_second_copy_is_a_duplicate(connection: Connection, owner: Owner) -> None:
    first = put(connection, owner, fill(), fill(7, fill_id="18"))
    again = fill(receive_time=NOON + 9_000_000, origin=Origin.HISTORY, quantity=Decimal("0.5"))
    second = put(connection, owner, again)
    assert (first.new, second.new, second.duplicates, second.conflicts) == (2, 0, 1, 0)
    with as_owner(connection, owner):
        assert read(connection, owner, Fill, fill_id="17") == [fill()]


def test_a_self_trade_fills_two_orders(connection: Connection, owner: Owner) -> None:
    assert put(connection, owner, fill(), fill(order_id="2", side="sell")).new == 2


@pytest.mark.parametrize(
    "changes",
    [{"quantity": Decimal("0.6")}, {"price": Decimal(1)}, {"side": "sell"}, {"fee": Decimal("0.1")},
     {"fee_asset": "BNB"}, {"event_time": NOON + 1}],
    ids=str,
)  # fmt: skip
def test_a_differing_copy_changes_nothing_and_is_kept(
    connection: Connection, owner: Owner, changes: dict[str, object]
) -> None:
    put(connection, owner, fill())
    odd = msgspec.structs.replace(fill(), **changes)
    for _ in range(2):
        assert put(connection, owner, odd).conflicts == 1
    with as_owner(connection, owner):
        assert read(connection, owner, Fill) == [fill()]
    ((identity, content, times),) = rows(connection, "book_conflict", "identity, content, times")
    assert msgspec.json.decode(identity) == ["BTCUSDT", "17", "9007199254740993"]
    name, value = next(iter(changes.items()))
    assert str(msgspec.json.decode(content)[name]) == str(value)
    assert times == 2


def test_a_differing_copy_in_the_same_batch_is_found(connection: Connection, owner: Owner) -> None:
    assert put(connection, owner, fill(), fill(quantity=Decimal(2))).conflicts == 1
    with as_owner(connection, owner):
        assert read(connection, owner, Fill) == [fill()]


@pytest.mark.parametrize("full_first", [True, False])
def test_what_the_first_copy_did_not_tell_is_taken_from_the_other(
    connection: Connection, owner: Owner, full_first: bool
) -> None:
    short = fill(fee=Decimal(0), fee_asset="")
    full = fill(maker=True, realized_pnl=Decimal("1.5"), quote_quantity=Decimal("50.25"), liquidation=True)
    both = [full, short] if full_first else [short, full]
    assert sum(put(connection, owner, one).conflicts for one in both) == 0
    with as_owner(connection, owner):
        assert read(connection, owner, Fill) == [full]


def test_a_movement_is_one_row_however_it_came(connection: Connection, owner: Owner) -> None:
    put(connection, owner, movement())
    assert put(connection, owner, movement(balance=Decimal(5)), movement(asset="BNB")).new == 1
    assert put(connection, owner, movement(change=Decimal("0.25"))).conflicts == 1
    assert rows(connection, "movement", "asset, change, balance") == [
        ("BNB", Decimal("-0.25"), None),
        ("USDT", Decimal("-0.25"), Decimal(5)),
    ]


# --- standings ---


@settings(max_examples=30)
@given(st.permutations([balance(0, "10"), balance(5, "9"), balance(8, "9.5"), balance(8, "9.5")]))
def test_the_newest_balance_wins(kept: tuple[Connection, Owner], told: list[Balance]) -> None:
    connection, owner = kept
    emptied(connection)
    for one in told:
        put(connection, owner, one)
    with as_owner(connection, owner):
        assert read(connection, owner, Balance, "balance_now") == [balance(8, "9.5")]


def test_two_balances_of_one_millisecond_are_both_kept_and_the_later_counts(
    connection: Connection, owner: Owner
) -> None:
    put(connection, owner, balance(0, "10"), balance(0, "9"))
    assert len(rows(connection, "balance")) == 2
    assert rows(connection, "balance_now", "total, asset, origin") == [(Decimal(9), "BTC", "stream")]


def test_the_history_of_a_standing_has_every_change_and_one_row_a_minute(
    connection: Connection, owner: Owner
) -> None:
    for at, total in ((0, "10"), (100, "10"), (200, "9"), (300, "9"), (61_000, "9")):
        put(connection, owner, balance(at, total, equity=Decimal(at)))
    assert rows(connection, "balance", "event_time, total::int, equity::int") == [
        (connection.execute("SELECT to_timestamp(%s / 1000.0)", [NOON // 1000 + at]).fetchone()[0], total, at)
        for at, total in ((0, 10), (200, 9), (61_000, 9))
    ]


def test_positions_by_side(connection: Connection, owner: Owner) -> None:
    put(connection, owner, position(0, "1", position_side="LONG"), position(0, "-2", position_side="SHORT"))
    put(connection, owner, position(5, "0", position_side="LONG"), position(1, "3", position_side="LONG"))
    with as_owner(connection, owner):
        now = read(connection, owner, Position, "position_now")
    assert {one.position_side: one.quantity for one in now} == {"LONG": Decimal(0), "SHORT": Decimal(-2)}


# --- blindness ---


def test_an_interval_is_open_until_it_was_read_again(connection: Connection, owner: Owner) -> None:
    put(connection, owner, Blindness(NOON, "closed", NOON + 5))
    put(connection, owner, Blindness(NOON, "closed; too old", NOON + 9, NOON + 8))
    put(connection, owner, Blindness(NOON, "closed", NOON + 5))
    with as_owner(connection, owner):
        assert read(connection, owner, Blindness) == [Blindness(NOON, "closed; too old", NOON + 5, NOON + 8)]


def test_whoever_reads_again_closes_what_began_meanwhile(connection: Connection, owner: Owner) -> None:
    """A process that was killed never closes its own."""
    put(connection, owner, Blindness(NOON + 3, "killed", NOON + 5), Blindness(NOON + 9, "later", NOON + 10))
    put(
        connection,
        owner,
        Blindness(NOON, "started", NOON + 6),
        Blindness(NOON, "started", NOON + 9, NOON + 8),
    )
    with as_owner(connection, owner):
        found = {one.since: one.until for one in read(connection, owner, Blindness)}
    assert found == {NOON: NOON + 8, NOON + 3: NOON + 8, NOON + 9: None}


def test_only_tables_of_the_books_are_read(connection: Connection, owner: Owner) -> None:
    with pytest.raises(ValueError, match="none of the tables"), as_owner(connection, owner):
        read(connection, owner, Fill, "credential")

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from streamers.account.sight import OVERLAP
from tests.adapters.database.booking import balance, fill, movement, order, position
from tests.streamers.account.fake import FakeAccounts, FakeServer, FakeVault
from tests.streamers.account.hearing import hearing, now_at, untimed
from tests.streamers.waiting import contiguous, until
from trade_platform.domain.accounts import (
    AccountNote,
    Balance,
    Blindness,
    Fill,
    Movement,
    NoteKind,
    OrderEvent,
    Origin,
    Position,
)


async def test_what_happens_is_told_at_once(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        happened = [now_at(order(), one.clock), now_at(fill(), one.clock)]
        await exchange.happen(*happened)
        await until(lambda: one.told(Fill), "the fill")
        assert untimed(one.told(OrderEvent)) == untimed(happened[:1])
        assert untimed(one.told(Fill)) == untimed(happened[1:])
        assert contiguous(one.entries())
        assert one.driver.health().ok
    assert "login" in vault.signed


async def test_a_process_that_begins_reads_how_things_stand_and_what_happened_before(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    """Histories in several pages, and fills of symbols that only the orders' history told of."""
    exchange.standing["balances"] = [balance()]
    exchange.standing["positions"] = [position()]
    async with hearing(exchange, vault, redis_url, tmp_path, exchange=FakeAccounts(exchange)) as one:
        exchange.happened = [now_at(fill(fill_id=str(n)), one.clock) for n in range(5)]
        exchange.happened += [now_at(order(order_id=str(n)), one.clock) for n in range(3)]
        exchange.happened.append(now_at(movement(), one.clock))
        await until(lambda: one.driver.live, "live")
        begun, over = one.told(Blindness)
    assert (begun.until, begun.since, begun.reason) == (None, over.since, "the process started")
    assert over.until is not None
    assert {record.fill_id for record in one.told(Fill)} == set("01234")
    assert {record.order_id for record in one.told(OrderEvent)} == set("012")
    assert {record.movement_id for record in one.told(Movement)} == {"m-1"}
    assert len(one.told(Balance)) == len(one.told(Position)) == 1


async def test_what_passes_unheard_is_read_again(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        await exchange.happen(now_at(fill(fill_id="1"), one.clock))
        await until(lambda: one.told(Fill), "the first")
        heard = one.driver.sight.heard_at
        exchange.closed = True
        await exchange.cut()
        await exchange.happen(now_at(fill(fill_id="2"), one.clock), told=False)
        await until(lambda: len(one.told(Blindness)) == 3, "the loss is told while it lasts")
        lost = one.told(Blindness)[-1]
        assert (lost.since, lost.until) == (heard - OVERLAP, None)
        exchange.closed = False
        await until(lambda: one.driver.live, "live again")
        assert {record.fill_id for record in one.told(Fill)} == {"1", "2"}
        over = one.told(Blindness)[-1]
        assert (over.since, over.reason) == (lost.since, lost.reason)
        assert over.until is not None
        asked = [entry for entry in exchange.asked if entry["what"] == "fills"][-1]
        assert int(asked["since"]) == lost.since


async def test_a_session_that_knows_better_than_its_frames_is_believed(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    """Heartbeats go on where a login has lapsed."""
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        assert one.driver.current is not None
        proven = one.driver.sight.heard_at
        one.driver.current.session.proven = proven  # type: ignore[attr-defined]
        await exchange.happen(now_at(fill(fill_id="1"), one.clock))
        await until(lambda: one.told(Fill), "the fill")
        assert one.driver.sight.heard_at == proven < one.driver.current.heard_at


async def test_a_history_that_is_refused_is_asked_for_until_it_is_answered(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    exchange.refuse = {"movements"}
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: sum(entry["what"] == "movements" for entry in exchange.asked) > 3, "asked again")
        assert [entry.until for entry in one.told(Blindness)] == [None]
        assert not one.driver.live
        assert "movements: 500: not now" in one.driver.health().reason
        exchange.refuse = set()
        await until(lambda: one.driver.live, "answered")
        assert one.told(Blindness)[-1].until is not None
        assert one.driver.health().ok


async def test_a_second_loss_goes_on_where_the_first_began(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        exchange.refuse = {"orders"}
        await exchange.cut()
        await until(lambda: one.driver.rereading.complaint, "it reads again")
        since = one.driver.sight.since
        await exchange.cut()
        await until(lambda: one.driver.current and one.driver.current.ready.is_set(), "connected")
        exchange.refuse = set()
        await until(lambda: one.driver.live, "live again")
        assert [entry.since for entry in one.told(Blindness)][2:] == [since, since]


async def test_a_restart_goes_on_where_the_process_before_it_ended(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        await exchange.happen(now_at(fill(fill_id="71"), one.clock))
        await until(lambda: one.told(Fill), "the fill")
        await until(lambda: one.marks().get("heard", 0) >= one.told(Fill)[0].receive_time, "the mark")
        assert one.marks()["fill|BTCUSDT"] == 71
    heard = one.marks()["heard"]
    await exchange.happen(now_at(fill(fill_id="72"), one.clock), told=False)
    async with hearing(exchange, vault, redis_url, tmp_path, producer="account:2") as other:
        await until(lambda: other.driver.live, "live")
        assert other.told(Blindness)[-1].since == heard - OVERLAP
        assert {record.fill_id for record in other.told(Fill)} == {"71", "72"}
        assert other.publisher.memory.known.last_fills == {"BTCUSDT": "72"}


async def test_a_listen_key_is_had_before_the_socket(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    keyed = FakeAccounts(exchange, listen_keys=True)
    exchange.refuse = {"key"}
    async with hearing(exchange, vault, redis_url, tmp_path, exchange=keyed) as one:
        await until(lambda: one.driver.endings.get("unreachable", 0) > 1, "refused")
        assert exchange.paths == []
        exchange.refuse = set()
        await until(lambda: one.driver.live, "live")
        assert exchange.paths == ["/private/a-listen-key"]


async def test_the_vault_may_be_away_for_a_while(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    vault.away = True
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.endings.get("unreachable", 0) > 2, "not signed")
        assert "The vault is busy." in one.driver.health().reason
        vault.away = False
        await until(lambda: one.driver.live, "live")


async def test_a_message_that_cannot_be_read_has_its_time_read_again(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        await exchange.happen(now_at(order(), one.clock), now_at(fill(), one.clock), told=False)
        await exchange.say("{torn")
        await until(lambda: one.told(Fill), "the fill, from history")
        await until(lambda: one.driver.live, "nothing is missing")
        assert one.driver.endings == {}
        assert one.told(Blindness)[-1].reason == "a private message could not be read"


async def test_the_end_of_the_stream_is_blindness_although_the_socket_lives(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        now = one.clock.market()
        await exchange.say({"records": [["account_note", AccountNote(NoteKind.ENDED, "expired", now, now)]]})
        await until(lambda: one.told(AccountNote), "the note")
        await until(lambda: len(one.told(Blindness)) == 3, "blind")
        assert one.told(Blindness)[-1].until is None


async def test_a_position_that_is_told_no_more_is_closed(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        await exchange.happen(now_at(position(), one.clock))
        await until(lambda: one.told(Position), "open")
        await exchange.cut()
        await until(lambda: len(one.told(Position)) == 2, "closed")
        closed = one.told(Position)[-1]
        assert (closed.symbol, closed.quantity, closed.origin) == (
            "BTC-PERPETUAL",
            Decimal(0),
            Origin.SNAPSHOT,
        )


async def test_what_rest_told_late_is_read_once_more(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    """REST may be behind the stream: what happened while nobody listened comes a little later."""
    async with hearing(exchange, vault, redis_url, tmp_path, late_seconds=0.3) as one:
        exchange.happened = [now_at(order(), one.clock)]
        late = now_at(fill(), one.clock)
        await until(lambda: one.driver.live, "live")
        exchange.happened.append(late)
        await until(lambda: one.told(Fill), "the late one")


async def test_a_connection_is_replaced_without_blindness(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.live, "live")
        before = one.driver.current
        await exchange.say({"bye": True})
        await until(lambda: one.driver.current is not before, "a successor")
        await exchange.happen(now_at(fill(), one.clock))
        await until(lambda: one.told(Fill), "heard by it")
        assert len(one.told(Blindness)) == 2
        assert one.driver.endings == {"rotation": 1}


async def test_history_that_is_told_no_more_is_said_so(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    forgetful = FakeAccounts(exchange)
    async with hearing(exchange, vault, redis_url, tmp_path, exchange=forgetful) as one:
        forgetful.reached = one.clock.market() - 1_000_000
        await until(lambda: one.driver.live, "live")
        assert "does not tell orders and fills and movements of so long ago" in one.told(Blindness)[-1].reason


async def test_a_key_that_is_refused_is_noted(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    exchange.knows_key = False
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.told(AccountNote), "the note")
        assert one.told(AccountNote)[0].kind is NoteKind.REFUSED
        await until(lambda: one.driver.endings.get("subscribe_refused"), "counted")
        assert not one.driver.health().ok


async def test_a_process_that_is_killed_before_it_saw_leaves_no_interval_open(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    """The very first one, too: whoever comes after it begins at the same moment, and closes both."""
    exchange.refuse = {"orders"}
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        await until(lambda: one.driver.rereading.complaint, "it cannot read")
    exchange.refuse = set()
    async with hearing(exchange, vault, redis_url, tmp_path, producer="account:2") as other:
        await until(lambda: other.driver.live, "live")
        assert len({entry.since for entry in other.told(Blindness)}) == 1
        assert other.told(Blindness)[-1].until is not None

"""A journal: what was written is read, a cut-off line is none, and the money of the first life counts."""

from __future__ import annotations

import resource
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from streamers.simulator.accounts.book_shapes import Noted
from streamers.simulator.accounts.journal import Journal, Opening
from tests.streamers.simulator.accounts.desks import account_of, exchange_with, prove, run, spec


def test_a_line_that_was_cut_off_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "accounts" / "x.jsonl"
    lines = [Opening({"BTC": Decimal("1.5")}, 1), Noted("access", "success", 2)]
    Journal(path).write(lines)
    with path.open("ab") as file:
        file.write(b'["noted","acc')
    assert list(Journal(path).read()) == lines
    Journal(path).write([lines[1]])
    assert list(Journal(path).read()) == [*lines, lines[1]]


def test_without_a_path_nothing_is_kept() -> None:
    Journal().write([Noted("access", "success", 2)])
    assert list(Journal().read()) == []


def test_a_second_life_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    first = exchange_with(spec(), folder=tmp_path)
    run(first, 120)
    richer = spec(balances={"BTC": "999"})
    second = exchange_with(richer, folder=tmp_path, start=first.source.now)
    book = account_of(second).book
    assert book.opening == account_of(first).book.opening
    run(second, 120)
    prove(book)
    assert len(book.fills) > len(account_of(first).book.fills)
    third = account_of(exchange_with(richer, folder=tmp_path, start=second.source.now)).book
    assert (third.orders, third.balances) == (book.orders, book.balances)


def test_nothing_private_is_said_while_it_cannot_be_written(tmp_path: Path) -> None:
    exchange = exchange_with(spec(), folder=tmp_path)
    path = account_of(exchange).journal.path
    assert path is not None
    path.unlink()
    path.mkdir()
    run(exchange, 60)
    book = account_of(exchange).book
    assert book.orders
    assert len(book.take()) == len(book.unwritten) > 0


def test_a_disk_that_fills_up_leaves_whole_lines_only(tmp_path: Path) -> None:
    """The process may write 150 bytes more: of two lines none is written, and the next life reads all."""
    path = tmp_path / "x.jsonl"
    first, long = Noted("access", "success", 2), Noted("access", "x" * 200, 3)
    Journal(path).write([first])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 150, limits[1]))
    try:
        with pytest.raises(OSError, match="space"):
            Journal(path).write([first, long])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    Journal(path).write([long])
    assert list(Journal(path).read()) == [first, long]

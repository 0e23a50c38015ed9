from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamers.spool import FRAME, Spool, SpoolUnusable

_open: list[Spool] = []


def opened(folder: Path, limit: int = 1 << 20, *, segment: int = 1 << 16) -> Spool:
    spool = Spool(folder, limit, segment_bytes=segment)
    spool.open()
    _open.append(spool)
    return spool


@pytest.fixture(autouse=True)
def close_what_was_opened() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def die(spool: Spool) -> None:
    """Let go of everything as the kernel does it for a process that was killed."""
    for file in (spool._lock, spool._writing):
        if file is not None:
            file.close()
    for descriptor in spool._unsynced:
        os.close(descriptor)
    _open.remove(spool)


def drained(spool: Spool, portion: int = 100) -> list[bytes]:
    payloads: list[bytes] = []
    while not spool.empty:
        peeked = spool.peek(portion)
        spool.confirm(len(peeked))
        payloads += peeked
    return payloads


def test_what_goes_in_comes_out_in_order_over_many_segments(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment=100)
    payloads = [b"%d" % number * 10 for number in range(50)]
    assert all(spool.append(payload) for payload in payloads)
    assert len(list(tmp_path.glob("*.spool"))) > 5
    assert list(spool) == payloads
    assert drained(spool) == payloads
    assert spool.bytes == 0
    assert not list(tmp_path.glob("*.spool"))


def test_a_process_finds_what_an_earlier_one_left(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(b"first")
    spool.append(b"second")
    spool.close()
    successor = opened(tmp_path)
    successor.append(b"third")
    assert drained(successor) == [b"first", b"second", b"third"]


def test_what_was_not_confirmed_comes_again(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for payload in (b"a", b"b", b"c"):
        spool.append(payload)
    assert spool.peek(1000) == [b"a", b"b", b"c"]
    spool.confirm(1)
    assert spool.peek(1000) == [b"b", b"c"]


@pytest.mark.parametrize("cut", [1, FRAME.size - 1, FRAME.size, FRAME.size + 2])
def test_a_torn_tail_loses_the_torn_frame_alone(tmp_path: Path, cut: int) -> None:
    spool = opened(tmp_path)
    spool.append(b"whole")
    spool.append(b"torn")
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes()[:-cut] if cut < FRAME.size else segment.read_bytes()[:-2])
    successor = opened(tmp_path)
    successor.append(b"next")
    assert drained(successor) == [b"whole", b"next"]
    assert successor.torn >= 1


def test_a_damaged_frame_ends_its_segment_and_the_next_one_is_read(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment=40)
    for number in range(6):
        spool.append(b"payload %d" % number)
    spool.close()
    first = min(tmp_path.glob("*.spool"))
    content = bytearray(first.read_bytes())
    content[FRAME.size] ^= 1
    first.write_bytes(content)
    assert b"payload 5" in drained(opened(tmp_path))


def test_nothing_but_damage_is_emptiness(tmp_path: Path) -> None:
    (tmp_path / "000000000001.spool").write_bytes(b"\xff" * 100)
    spool = opened(tmp_path)
    assert drained(spool) == []
    assert spool.empty


def test_it_is_bounded_and_keeps_a_reserve_for_events(tmp_path: Path) -> None:
    spool = opened(tmp_path, limit=1600)
    while spool.admits(100):
        spool.append(b"x" * 100)
    assert spool.bytes <= 1600
    assert spool.admits(80, event=True)


def test_a_disk_that_refuses_leaves_only_whole_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.append(b"before")

    def half(frame: bytes) -> None:
        assert spool._writing is not None
        spool._writing.write(frame[:5])
        spool._writing.truncate(spool._written)
        spool._writing.seek(spool._written)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "_write", half)
        assert not spool.append(b"refused")
    assert spool.failing == "No space left on device"
    assert spool.append(b"after")
    assert drained(spool) == [b"before", b"after"]


def test_a_second_process_of_the_same_name_is_told_so(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(SpoolUnusable, match="in use by another process"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusable, match="cannot be used"):
        opened(tmp_path / "file" / "spool")


class SpoolAgainstQueue(RuleBasedStateMachine):
    """The spool is a queue, whatever happens in between: confirmations in part, deaths, torn tails."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-"))
        self.model: deque[bytes] = deque()
        self.spool = opened(self.folder, limit=4000, segment=120)

    @rule(payload=st.binary(min_size=1, max_size=60))
    def append(self, payload: bytes) -> None:
        if self.spool.admits(len(payload)):
            assert self.spool.append(payload)
            self.model.append(payload)

    @rule(limit=st.integers(1, 200), share=st.floats(0, 1))
    @precondition(lambda self: self.model)
    def replay_a_part(self, limit: int, share: float) -> None:
        peeked = self.spool.peek(limit)
        assert peeked
        assert peeked == list(self.model)[: len(peeked)]
        confirmed = round(len(peeked) * share)
        self.spool.confirm(confirmed)
        for _ in range(confirmed):
            self.model.popleft()

    @rule()
    def die_and_start_again(self) -> None:
        """Confirmations inside a segment are forgotten: those come again, in front."""
        die(self.spool)
        self.spool = opened(self.folder, limit=4000, segment=120)
        kept = list(self.spool)
        assert kept[len(kept) - len(self.model) :] == list(self.model)
        self.model = deque(kept)

    @invariant()
    def bytes_are_bounded_and_counted(self) -> None:
        assert self.spool.bytes <= self.spool.limit_bytes
        assert self.spool.bytes == sum(path.stat().st_size for path in self.folder.glob("*.spool"))

    def teardown(self) -> None:
        self.spool.close()
        _open.remove(self.spool)
        shutil.rmtree(self.folder)


TestSpoolAgainstQueue = SpoolAgainstQueue.TestCase


def test_zeros_at_the_end_are_no_frames(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(b"whole")
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes() + bytes(4096))
    successor = opened(tmp_path)
    assert list(successor) == [b"whole"]
    assert drained(successor) == [b"whole"]


def test_a_segment_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment=10)
    for payload in (b"first payload", b"second payload", b"third payload"):
        spool.append(payload)
    spool.close()
    second = sorted(tmp_path.glob("*.spool"))[1]
    second.unlink()
    second.mkdir()
    successor = opened(tmp_path)
    assert list(successor) == [b"first payload", b"third payload"]
    successor.append(b"fourth")
    assert drained(successor) == [b"first payload", b"third payload", b"fourth"]
    assert successor.torn == 1
    assert [path.stem for path in tmp_path.glob("*.unreadable")] == [second.stem]


def test_what_is_put_in_front_comes_first(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    assert spool.prepend([b"c"])
    assert spool.append(b"d")
    assert spool.prepend([b"a", b"b"])
    assert drained(spool) == [b"a", b"b", b"c", b"d"]
    assert spool.bytes == 0


def filled(folder: Path, count: int = 12) -> list[bytes]:
    """Three segments and what is in them."""
    payloads = [b"payload %02d" % number for number in range(count)]
    spool = opened(folder, segment=64)
    assert all(spool.append(payload) for payload in payloads)
    die(spool)
    return payloads


def damaged(source: Path, folder: Path, segment: str, content: bytes) -> list[bytes]:
    """What a process reads that finds this instead of the segment."""
    shutil.copytree(source, folder)
    (folder / segment).write_bytes(content)
    spool = opened(folder, segment=64)
    found = drained(spool)
    assert spool.append(b"next")
    assert drained(spool) == [b"next"]
    spool.close()
    _open.remove(spool)
    shutil.rmtree(folder)
    return found


def test_cut_at_every_byte_it_gives_what_is_whole_and_nothing_else(tmp_path: Path) -> None:
    """A process or a machine that ended in the middle of a write."""
    payloads = filled(tmp_path / "spool")
    for segment in sorted((tmp_path / "spool").glob("*.spool"))[-2:]:
        content = segment.read_bytes()
        first = next(at for at, payload in enumerate(payloads) if payload in content)
        inside = [payload for payload in payloads if payload in content]
        for cut in range(len(content)):
            found = damaged(tmp_path / "spool", tmp_path / "cut", segment.name, content[:cut])
            whole = cut // (FRAME.size + len(payloads[0]))
            assert found == payloads[:first] + inside[:whole] + payloads[first + len(inside) :], cut


def test_a_flipped_bit_of_any_byte_gives_no_wrong_payload(tmp_path: Path) -> None:
    payloads = filled(tmp_path / "spool", 6)
    for segment in (tmp_path / "spool").glob("*.spool"):
        content = segment.read_bytes()
        for position in range(len(content)):
            flipped = bytearray(content)
            flipped[position] ^= 1 << position % 8
            found = damaged(tmp_path / "spool", tmp_path / "flip", segment.name, bytes(flipped))
            assert found == [payload for payload in payloads if payload in found], position
            assert len(found) >= len(payloads) - content.count(b"payload")


def test_too_many_open_files_say_nothing_of_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.append(b"kept")

    def exhausted(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", exhausted)
        assert spool.peek(100) == []
    assert spool.failing == "Too many open files"
    assert drained(spool) == [b"kept"]
    assert spool.torn == 0


def test_a_full_disk_refuses_whole_frames_and_takes_them_when_there_is_room_again(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the kernel itself refuses, in the middle of a frame."""
    program = """
import resource, signal, sys
from pathlib import Path
from streamers.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), 1 << 20, segment_bytes=1 << 19)
spool.open()
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
taken = [spool.append(b"%03d" % number * 20) for number in range(30)]
assert taken == [True] * sum(taken) + [False] * (30 - sum(taken)), taken
assert 0 < sum(taken) < 30 and spool.failing == "File too large", spool.failing
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
assert spool.append(b"again") and not spool.failing
read = []
while not spool.empty:
    read += spool.peek(100)
    spool.confirm_claimed()
assert read == [b"%03d" % number * 20 for number in range(sum(taken))] + [b"again"], read
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "spool")], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_another_user_is_one_sentence(server_folder: Path) -> None:
    """Unlike a process of root, this one is bound by permissions."""
    folder = server_folder / "others-spool"
    folder.mkdir(mode=0o755)
    program = """
import os, sys
from pathlib import Path
from streamers.spool import Spool, SpoolUnusable
os.setgid(65534)
os.setuid(65534)
try:
    Spool(Path(sys.argv[1]), 1 << 20).open()
except SpoolUnusable as error:
    print(error)
"""
    answer = subprocess.run(
        [sys.executable, "-c", program, str(folder)], check=True, capture_output=True, text=True
    )
    assert answer.stdout.count("\n") == 1
    assert "cannot be used (Permission denied): check the free space and the permissions" in answer.stdout

from pathlib import Path

import pytest

from trade_platform.adapters.upgrade_desk import Progress, Request, UpgradeDesk, UpgradeUnderWay

REQUEST = Request(identity="one", lanes=("streamer-deribit",), deadline_seconds=60.0)


def test_there_is_one_request_at_a_time_until_it_is_cleared(tmp_path: Path) -> None:
    desk = UpgradeDesk(tmp_path)
    assert desk.asked() is None
    desk.ask(REQUEST)
    assert UpgradeDesk(tmp_path).asked() == REQUEST
    with pytest.raises(UpgradeUnderWay):
        desk.ask(Request(identity="two", deadline_seconds=1.0))
    assert desk.asked() == REQUEST
    desk.clear()
    assert desk.asked() is None
    desk.clear()
    desk.ask(REQUEST)


def test_progress_is_told_by_identity(tmp_path: Path) -> None:
    desk = UpgradeDesk(tmp_path)
    assert desk.told("one") is None
    desk.tell(Progress(identity="one", verdict="done", good=True))
    assert desk.told("two") is None
    assert desk.told("one") == Progress(identity="one", verdict="done", good=True)


def test_what_cannot_be_read_is_no_request(tmp_path: Path) -> None:
    desk = UpgradeDesk(tmp_path)
    desk.ask(REQUEST)
    (path,) = (tmp_path / "run" / "upgrade").glob("*.json")
    path.write_text("{")
    assert desk.asked() is None

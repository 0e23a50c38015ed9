from __future__ import annotations

import os
from pathlib import Path

import pytest

from trade_platform.vault.keyring import Keyring, KeysUnusable, UnknownKey, add, ensure, load
from trade_platform.vault.keys import FOLDER, Keys, keys_of

KEY = "ab" * 32


def put(folder: Path, name: str, text: str = KEY, mode: int = 0o400) -> Path:
    path = folder / name
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def test_the_last_by_name_seals_and_all_open(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-22")
    put(tmp_path, "2027-01-01", "cd" * 32)
    put(tmp_path, ".hidden", "what an editor leaves")
    ring = load(tmp_path, strict=True)
    assert (ring.newest, ring.ids) == ("2027-01-01", ["2026-11-22", "2027-01-01"])
    assert ring.key("2026-11-22").reveal() == bytes.fromhex(KEY)
    with pytest.raises(UnknownKey, match="'2025' is not here"):
        ring.key("2025")
    assert KEY not in repr(ring)


@pytest.mark.parametrize("mode", [0o600, 0o440, 0o404, 0o444, 0o500, 0o644])
def test_a_key_that_others_might_read_or_anybody_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path, "key", mode=mode)
    with pytest.raises(KeysUnusable, match=f"permissions {mode:04o}: run chmod 0400 {path}"):
        load(tmp_path, strict=True)


def test_one_that_we_made_may_be_written_by_its_owner(tmp_path: Path) -> None:
    put(tmp_path, "key", mode=0o600)
    assert load(tmp_path, strict=False).ids == ["key"]
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(KeysUnusable):
        load(tmp_path, strict=False)


@pytest.mark.parametrize("text", ["", "ab", "xy" * 32, "ab" * 31, "ab" * 33, "é" * 32])
def test_what_is_no_key_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    put(tmp_path, "key", text)
    with pytest.raises(KeysUnusable, match="holds no key") as caught:
        load(tmp_path, strict=True)
    assert not text or text not in str(caught.value)


def test_what_else_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable, match=r"cannot be read .No such file.*VAULT_KEYS"):
        load(tmp_path / "absent", strict=True)
    with pytest.raises(KeysUnusable, match="holds no key: make one with"):
        load(tmp_path, strict=True)
    put(tmp_path, "key.old")
    with pytest.raises(KeysUnusable, match="is not named like a key"):
        load(tmp_path, strict=True)
    (tmp_path / "key.old").unlink()
    (tmp_path / "folder").mkdir()
    with pytest.raises(KeysUnusable, match="is no file"):
        load(tmp_path, strict=True)
    with pytest.raises(KeysUnusable):
        Keyring({})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_a_stranger_is_refused(tmp_path: Path) -> None:
    os.chown(put(tmp_path, "key"), 12345, 12345)
    with pytest.raises(KeysUnusable, match="belongs to another user"):
        load(tmp_path, strict=True)


def test_a_first_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert ensure(folder)
    [path] = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    before = path.read_text()
    assert not ensure(folder)
    assert path.read_text() == before
    assert len(load(folder, strict=False).key(path.name)) == 32
    with pytest.raises(FileExistsError):  # a key is never replaced: what it sealed would be lost
        add(folder, path.name)
    assert path.read_text() == before


def test_the_keys_of_the_setting_come_first_and_are_read_again(tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    put(named, "one")
    keys, said = keys_of(str(named), tmp_path)
    assert (keys.ring.ids, said) == (["one"], "")
    assert not (tmp_path / FOLDER).exists()
    put(named, "two")
    keys.reload()
    assert keys.ring.newest == "two"
    put(named, "three", "rubbish")
    with pytest.raises(KeysUnusable):
        keys.reload()
    assert keys.ring.newest == "two", "what was held stays"


def test_without_the_setting_a_key_is_made_beside_the_data_and_said(tmp_path: Path) -> None:
    _, said = keys_of("", tmp_path)
    assert "VAULT_KEYS" in said
    keys, again = keys_of("", tmp_path)
    assert again == ""
    assert isinstance(keys, Keys)
    assert keys.folder == tmp_path / FOLDER

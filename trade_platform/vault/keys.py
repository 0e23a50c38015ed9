"""Where the key-encryption keys come from: the folder of a setting, or one that is made beside the data."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trade_platform.vault.keyring import Keyring, ensure, load

FOLDER: Final = "vault-keys"
"""Below the data folder, where no setting names another place."""


class Keys:
    """The keys of a folder, read again when one is missed. Raises KeysUnusable."""

    def __init__(self, folder: Path, *, strict: bool) -> None:
        self.folder = folder
        self._strict = strict
        self.ring: Keyring = load(folder, strict=strict)

    def reload(self) -> None:
        """Raises KeysUnusable; what was held stays then."""
        self.ring = load(self.folder, strict=self._strict)


def keys_of(named: str, data_folder: Path) -> tuple[Keys, str]:
    """The keys, and a sentence for a person where they were made just now. Raises KeysUnusable.

    ``named``: the folder of the setting VAULT_KEYS; empty: the data folder's own.
    """
    if named:
        return Keys(Path(named), strict=True), ""
    folder = data_folder.absolute() / FOLDER
    made = ensure(folder)
    said = (
        f"A key for the secrets of accounts was made in {folder}: keep a copy elsewhere, or set VAULT_KEYS "
        "to a folder of secret files."
    )
    return Keys(folder, strict=False), said if made else ""

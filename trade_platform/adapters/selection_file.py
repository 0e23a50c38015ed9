"""``config/instruments.toml``: read into a Selection, with a sentence for whatever is wrong in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from pathlib import Path

import msgspec

from trade_platform.domain.selection import Selection


class UnusableSelection(Exception):
    """The file that says what is recorded cannot be used; the sentence says why and where."""


def read_selection(path: Path, *, exchanges: Collection[str] = ()) -> Selection:
    """The file's content; raises UnusableSelection. ``exchanges``: the keys that a rule may name."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnusableSelection(
            f"{path} cannot be read ({error.strerror}): INSTRUMENTS_FILE names what is to be recorded."
        ) from error
    except UnicodeDecodeError as error:
        raise UnusableSelection(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8."
        ) from error
    try:
        selection = msgspec.convert(tomllib.loads(text), Selection)
    except tomllib.TOMLDecodeError as error:
        raise UnusableSelection(f"{path} is not TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise UnusableSelection(f"{path}: {_in_words(str(error))}.") from error
    _check(selection, path, exchanges)
    return selection


def _check(selection: Selection, path: Path, exchanges: Collection[str]) -> None:
    if selection.quote_interval_ms < 0:
        raise UnusableSelection(f"{path}: quote_interval_ms must be 0 or more.")
    for number, rule in enumerate(selection.record, 1):
        if exchanges and rule.exchange not in exchanges:
            raise UnusableSelection(
                f"{path}: record {number} names the exchange {rule.exchange!r}; "
                f"known are {', '.join(sorted(exchanges))}."
            )
        if not rule.symbols or not rule.channels:
            raise UnusableSelection(f"{path}: record {number} needs at least one symbol and one channel.")


def _in_words(message: str) -> str:
    """A library's ``… - at `$.record[0].channels[1]``` as a place that a person counts to."""
    what, _, where = message.partition(" - at ")
    place = re.sub(r"\[(\d+)\]", lambda index: f" {int(index[1]) + 1}", where.strip("`"))
    place = place.removeprefix("$").strip(".").replace(".", ", ").replace("[...]", "")
    return f"{place}: {what}" if place else what


class SelectionFile:
    """Notices that the file was saved again: by its time and size, as cheap as one ``stat``."""

    def __init__(self, path: Path, *, exchanges: Collection[str] = ()) -> None:
        self.path = path
        self._exchanges = exchanges
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Has it been saved since the last ``read``? A file that is away for a moment has not."""
        state = self._state()
        return state is not None and state != self._seen

    def read(self) -> Selection:
        """As it is now; raises UnusableSelection. A broken file is complained of once per save."""
        self._seen = self._state()
        return read_selection(self.path, exchanges=self._exchanges)

    def _state(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

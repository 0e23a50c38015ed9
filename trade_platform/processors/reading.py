"""From an entry of a stream to its records; what cannot be read becomes a dead letter, the rest goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from trade_platform.adapters.bus import KINDS, Entry, UnreadableEntry, encode
from trade_platform.adapters.database.dead_letters import WHOLE_ENTRY, DeadLetter
from trade_platform.adapters.redis_reader import Fields
from trade_platform.domain.accounts import ACCOUNT_KINDS, AccountRecord
from trade_platform.domain.model import Record

LARGEST: Final = 2**63 - 1
_parts = msgspec.json.Decoder(list[msgspec.Raw])
_decoders = {kind: msgspec.json.Decoder(record) for kind, record in KINDS.items()}
_account_decoders = {kind: msgspec.json.Decoder(record) for kind, record in ACCOUNT_KINDS.items()}


class Reading(msgspec.Struct, frozen=True):
    """One entry, as far as it could be read."""

    entry_id: str
    entry: Entry | None
    """None where not even the header can be read."""
    records: Sequence[Record | AccountRecord]
    positions: Sequence[int] | None = None
    """Each record's place in the entry's batch; None where all of them are here."""
    letters: Sequence[DeadLetter] = ()

    def place(self, index: int) -> int:
        """Where in the batch the record stood."""
        return index if self.positions is None else self.positions[index]


def read_entry(entry_id: str, fields: Fields, *, account: bool = False) -> Reading:
    """Decode; never raises on what stands in an entry. ``account``: of an account's stream."""
    try:
        entry = Entry.from_fields(fields)
        _check(entry)
    except UnreadableEntry as error:
        return Reading(entry_id, None, (), letters=[_whole(entry_id, fields, error)])
    try:
        return Reading(entry_id, entry, entry.account_records() if account else entry.records())
    except UnreadableEntry as error:
        return _salvage(entry_id, entry, error, _account_decoders if account else _decoders)


def without(reading: Reading, refused: dict[int, str]) -> Reading:
    """The reading less the records (by index) that PostgreSQL refused, each a dead letter with its error."""
    entry = reading.entry
    assert entry is not None, "records come from entries"
    letters = [
        DeadLetter(
            reading.entry_id,
            reading.place(index),
            entry.kind,
            entry.exchange,
            encode([reading.records[index]]),
            error,
        )
        for index, error in sorted(refused.items())
    ]
    kept = [index for index in range(len(reading.records)) if index not in refused]
    return Reading(
        reading.entry_id,
        entry,
        [reading.records[index] for index in kept],
        [reading.place(index) for index in kept],
        [*reading.letters, *letters],
    )


def refused_whole(reading: Reading, error: str) -> Reading:
    """Nothing of the entry can be stored."""
    entry = reading.entry
    assert entry is not None, "what has no header has no records to refuse"
    letter = DeadLetter(reading.entry_id, WHOLE_ENTRY, entry.kind, entry.exchange, entry.data, error)
    return Reading(reading.entry_id, entry, (), letters=[letter])


def _check(entry: Entry) -> None:
    """The header itself goes into tables: refuse here what they would refuse."""
    if "\x00" in entry.producer + entry.exchange + entry.kind:
        raise UnreadableEntry("its header holds a NUL character")
    if not 0 < entry.n <= LARGEST:
        raise UnreadableEntry(f"n is {entry.n}, which no producer counts")


def _whole(entry_id: str, fields: Fields, error: Exception) -> DeadLetter:
    kind, exchange = (fields.get(name, b"").decode(errors="replace") for name in (b"kind", b"exchange"))
    data = msgspec.json.encode(
        {
            name.decode(errors="backslashreplace"): value.decode(errors="backslashreplace")
            for name, value in fields.items()
        }
    )
    return DeadLetter(entry_id, WHOLE_ENTRY, kind, exchange, data, str(error))


def _salvage(
    entry_id: str, entry: Entry, error: UnreadableEntry, decoders: Mapping[str, msgspec.json.Decoder[Any]]
) -> Reading:
    """Record by record; the whole entry is a dead letter where it is no list of records at all."""
    decoder = decoders.get(entry.kind)
    try:
        parts = _parts.decode(entry.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoder = None
    if decoder is None:
        return refused_whole(Reading(entry_id, entry, ()), str(error))
    records: list[Record | AccountRecord] = []
    positions: list[int] = []
    letters: list[DeadLetter] = []
    for position, part in enumerate(parts):
        try:
            records.append(decoder.decode(part))
            positions.append(position)
        except (msgspec.DecodeError, UnicodeDecodeError) as bad:
            letters.append(DeadLetter(entry_id, position, entry.kind, entry.exchange, bytes(part), str(bad)))
    return Reading(entry_id, entry, records, positions, letters)

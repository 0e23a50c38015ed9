"""CSV as PostgreSQL writes it → a DataFrame in which no digit is lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from trade_platform.adapters.database.history import Column, Kind

if TYPE_CHECKING:
    import pandas as pd

DIGITS: Final = (37, 18)
"""(precision, scale) of prices and quantities: nineteen digits before the point, eighteen behind it. One
digit less than fits into 128 bits, kept in 256: so Arrow can add, multiply and divide them, exactly where
that can be exact; of decimal128(38, 18) it refuses even a sum."""
WIDE: Final = (76, 38)
"""Where a value needs more than that."""
_PARSED: Final = (38, 18)
"""What Arrow reads from CSV."""


class TooManyDigits(Exception):
    """A value does not fit into the widest decimal that there is."""


def frame(columns: Sequence[Column], pieces: Iterable[bytes], *, floats: bool = False) -> pd.DataFrame:
    """All pieces as one frame, its first column the index. Raises TooManyDigits."""
    import pyarrow as pa  # noqa: PLC0415 - whoever reads no frame does not pay for it

    tables = [_table(columns, piece) for piece in pieces] or [_table(columns, b"")]
    if len({table.schema for table in tables}) > 1:
        widest = _schema(columns, WIDE)
        tables = [table.cast(widest) for table in tables]
    whole = pa.concat_tables(tables)
    tables.clear()
    return _in_pandas(columns, whole, floats=floats)


def _table(columns: Sequence[Column], piece: bytes) -> Any:
    """Every column as what it is; wider only where a value asks for it."""
    import pyarrow as pa  # noqa: PLC0415

    if not piece:
        return _schema(columns, DIGITS).empty_table()
    try:
        return _parsed(columns, piece, pa.decimal128(*_PARSED)).cast(_schema(columns, DIGITS))
    except pa.ArrowInvalid:
        pass
    try:
        return _parsed(columns, piece, pa.string()).cast(_schema(columns, WIDE))
    except pa.ArrowInvalid as error:
        raise TooManyDigits(
            f"A number has more than {WIDE[0] - WIDE[1]} digits before the point, or more than {WIDE[1]} "
            f"behind it ({error})."
        ) from error


def _parsed(columns: Sequence[Column], piece: bytes, decimal: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    types = {column.name: decimal if column.kind is Kind.DECIMAL else _type(column) for column in columns}
    return csv.read_csv(
        pa.BufferReader(piece),
        read_options=csv.ReadOptions(column_names=[column.name for column in columns]),
        convert_options=csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _schema(columns: Sequence[Column], digits: tuple[int, int]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    decimal = pa.decimal256(*digits)
    return pa.schema(
        [(column.name, decimal if column.kind is Kind.DECIMAL else _type(column)) for column in columns]
    )


def _type(column: Column) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return {
        Kind.TIME: pa.timestamp("us", "UTC"),
        Kind.INTEGER: pa.int64(),
        Kind.TRUTH: pa.bool_(),
        Kind.CHOICE: pa.string(),
        Kind.TEXT: pa.string(),
    }[column.kind]


def _in_pandas(columns: Sequence[Column], table: Any, *, floats: bool) -> pd.DataFrame:
    """Column by column, each given up as soon as it is taken."""
    import pandas as pd  # noqa: PLC0415

    taken: dict[str, Any] = {}
    for column in columns:
        taken[column.name] = _series(column, table.column(column.name), floats=floats)
        table = table.drop_columns([column.name])
    index = pd.DatetimeIndex(taken.pop(columns[0].name), name=columns[0].name)
    return pd.DataFrame({name: pd.Series(values, index=index) for name, values in taken.items()}, index=index)


def _series(column: Column, values: Any, *, floats: bool) -> Any:
    import pandas as pd  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    match column.kind:
        case Kind.DECIMAL if floats:
            return values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        case Kind.DECIMAL:
            return pd.arrays.ArrowExtensionArray(values)
        case Kind.INTEGER if column.optional:
            return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get).array
        case Kind.CHOICE:
            return values.dictionary_encode().to_pandas().array
        case _:
            return values.to_pandas().array

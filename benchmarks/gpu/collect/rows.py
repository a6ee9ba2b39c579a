"""Look up and compare values in the rows that the steps wrote. A missing or malformed value is None, never an error."""

from __future__ import annotations

import math
from typing import Any

Row = dict[str, Any]

WAYS = ("reference", "ours", "graphs", "compiled")
DTYPES = ("float32", "tf32", "bfloat16", "float16")


def number_at(row: Row, key: str) -> float | None:
    """Return a finite number from a row, or None."""
    return finite(row.get(key))


def finite(value: object) -> float | None:
    """Return the value if it is a finite number, else None."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if good else None  # type: ignore[return-value]


def ratio_at(row: Row, other: Row | None, key: str) -> float | None:
    """Divide a value of one row by that of another; None if either is missing."""
    mine, theirs = number_at(row, key), number_at(other or {}, key)
    return mine / theirs if mine is not None and theirs else None


def reference_like(rows: list[Row], row: Row, *keys: str) -> Row | None:
    """Find the reference row that has the same values of `keys`."""
    alike = (r for r in rows if r.get("way") == "reference" and all(r.get(key) == row.get(key) for key in keys))
    return next(alike, None)


def case_order(row: Row) -> tuple[int, bool, float, int]:
    """Sort rows by precision, checkpointing, batch and way."""
    dtype, way = row.get("dtype"), row.get("way")
    return (
        DTYPES.index(dtype) if dtype in DTYPES else len(DTYPES),
        bool(row.get("checkpointing")),
        number_at(row, "batch") or 0.0,
        WAYS.index(way) if way in WAYS else len(WAYS),
    )


def curve_points(row: Row) -> list[tuple[float, float]]:
    """Return the (N-acc, T-acc) points of a curve."""
    pairs = row.get("roc")
    if not isinstance(pairs, list):
        return []
    known = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    return [(n, t) for n, t in known if isinstance(n, int | float) and isinstance(t, int | float)]


def set_name(row: Row) -> str:
    """Return the name of the set of scenes that a row is about."""
    return str(row.get("set") or "scenes without a name")

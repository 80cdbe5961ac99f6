"""Values of columns, also changed ones: SQLite keeps whatever type was written behind the service's back."""

from __future__ import annotations


def stored_text(value: object) -> str:
    """Return a column's text; bytes that are no UTF-8 become lone surrogates, as in the driver's texts."""
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return str(value)


def stored_number(value: object) -> int:
    """Return a column's whole number, 0 for what is none."""
    return value if isinstance(value, int) else 0

"""Places in lists whose keys may have been changed behind the service's back.

A place is the key of a row and a number of rows after it. The number is 0 unless rows stand there whose keys
no statement can be given to compare with, such as bytes that are no text: those are counted, so that a list
goes on behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Column, Row, Select, or_

from pecia_service.paging import Cursor, number_part
from pecia_service.registry.store.rows import RowValues

T = TypeVar("T")

_LARGEST_NUMBER = 10**18 - 1
# The precedence of a version has at most 764 characters; three such parts fit into a token.
_LONGEST_TEXT = 1_000

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """An item of a list and the cursor from which the list goes on after it."""

    item: T
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: `skipped` rows after the row of a key, or after the start of the list if None."""

    key: Key | None = None
    skipped: int = 0

    @classmethod
    def read(cls, cursor: Cursor | None) -> Place:
        """Read a cursor, None for the first page; raises InvalidInputError (PAGE_TOKEN_INVALID)."""
        if cursor is None:
            return cls()
        *key, skipped = cursor
        return cls(tuple(key) if any(key) else None, number_part(skipped))

    def page(self, statement: Select[Any], limit: int) -> Select[Any]:
        """Take up to `limit` rows of what follows the key."""
        return statement.limit(limit).offset(self.skipped) if self.skipped else statement.limit(limit)

    def page_by(
        self, statement: Select[Any], first: Column[str], second: Column[str], limit: int
    ) -> Select[Any]:
        """Take up to `limit` rows after the key, in the order of the two columns that are the key."""
        if self.key is not None:
            last_first, last_second = self.key
            # The first condition alone lets the index find where to begin.
            statement = statement.where(first >= last_first, or_(first > last_first, second > last_second))
        return self.page(statement.order_by(first, second), limit)

    def listed(
        self, rows: Iterable[Row[Any]], columns: Mapping[str, type], make: Callable[[RowValues], T]
    ) -> list[Listed[T]]:
        """Make items of rows that follow this place; `columns` are those of the key, with their types."""
        key, skipped = self.key, self.skipped
        listed = []
        for row in rows:
            values = row._mapping
            own = _key([_part(values[column], kind) for column, kind in columns.items()])
            key, skipped = (key, skipped + 1) if own is None else (own, 0)
            cursor = (*(key or ("",) * len(columns)), str(skipped))
            listed.append(Listed(make(values), cursor))
        return listed


def _key(parts: Sequence[str]) -> Key | None:
    return tuple(parts) if all(parts) else None


def _part(value: object, kind: type) -> str:
    """Return a value as a part of a cursor, empty for one that no name, version or revision has."""
    if not isinstance(value, kind):
        return ""
    if isinstance(value, int):
        return str(value) if 0 <= value <= _LARGEST_NUMBER else ""
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT and text.isascii() and text.isprintable() else ""

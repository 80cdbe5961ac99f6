"""Pages of lists: how many items, and opaque tokens that only the call that made them accepts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import orjson

from pecia_service.canonical import canonical_json, sha256_hex
from pecia_service.errors import ErrorReason, InvalidInputError, invalid_field

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

_MAX_TOKEN_LENGTH = 8_192
_MAX_DIGITS = 18

T = TypeVar("T")

Cursor: TypeAlias = tuple[str, ...]
"""Where a page ended: the sort key of its last item, in the list's order."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asks of a list: a size, 0 for the default, and a token, empty for the first page."""

    size: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list; `next_token` is empty on the last page."""

    items: tuple[T, ...]
    next_token: str


def page_size(requested: int) -> int:
    """Return the size of a page: 50 for 0, at most 200; raises InvalidInputError (FIELD_INVALID) below 0."""
    if requested < 0:
        raise invalid_field(ErrorReason.FIELD_INVALID, "page_size", "is negative; give 0 for the default")
    return min(requested or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


class Pager:
    """Makes and reads the tokens of one call with its arguments; the tenant is one of them."""

    def __init__(self, call: str, **arguments: str) -> None:
        self._digest = sha256_hex(canonical_json({"call": call, "arguments": arguments}))[:32]

    def read(self, token: str, length: int) -> Cursor | None:
        """Return the cursor of `length` parts that a token holds, or None for the empty token.

        Raises InvalidInputError (PAGE_TOKEN_INVALID) for what this call did not make with these arguments.
        """
        if not token:
            return None
        cursor = self._decode(token) if len(token) <= _MAX_TOKEN_LENGTH else None
        if cursor is None or len(cursor) != length:
            raise _invalid_token()
        return cursor

    def page(self, items: Sequence[T], limit: int, cursor: Callable[[T], Cursor]) -> Page[T]:
        """Make a page from up to `limit` + 1 items; `cursor` gives an item's sort key."""
        shown = tuple(items[:limit])
        return Page(shown, self._encode(cursor(shown[-1])) if len(items) > limit else "")

    def _encode(self, cursor: Cursor) -> str:
        data = canonical_json({"cursor": list(cursor), "of": self._digest})
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def _decode(self, token: str) -> Cursor | None:
        try:
            value = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            cursor = tuple(value["cursor"])
            # Comparing with what would be written here checks everything else at once.
            same = all(isinstance(part, str) for part in cursor) and self._encode(cursor) == token
        except (binascii.Error, ValueError, TypeError, KeyError):
            return None
        # No name holds U+0000, and PostgreSQL refuses it even in a comparison.
        return cursor if same and not any("\0" in part for part in cursor) else None


def number_part(part: str) -> int:
    """Return a cursor's part as a number; raises InvalidInputError (PAGE_TOKEN_INVALID)."""
    if part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS:
        return int(part)
    raise _invalid_token()


def _invalid_token() -> InvalidInputError:
    return invalid_field(
        ErrorReason.PAGE_TOKEN_INVALID,
        "page_token",
        "was not made by this call with these arguments; start again without one",
    )

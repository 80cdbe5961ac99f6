"""Names of client certificates."""

from __future__ import annotations

from typing import Final

MAX_NAME_BYTES: Final = 2_048
"""The longest SPIFFE id (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md, section 2.3)."""


def is_certificate_name(name: str) -> bool:
    """Tell whether a name can be registered: it is compared as it is, letter case included."""
    return (
        name.isprintable()
        and name == name.strip()
        and 1 <= len(name.encode(errors="replace")) <= MAX_NAME_BYTES
    )

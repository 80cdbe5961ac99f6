"""UUIDs: version 7 made in order (RFC 9562), their time, and their textual form."""

from __future__ import annotations

import re
from collections.abc import Callable

from pecia_service.errors import ErrorReason, invalid_field

RANDOM_BITS = 74
"""How many bits of a UUIDv7 are neither time nor version nor variant: rand_a (12) and rand_b (62)."""

MAX_UNIX_MS = 2**48 - 1
"""The last millisecond that a UUIDv7 can tell, in the year 10889."""

_RAND_B_BITS = 62
_VERSION_7 = 7 << 76
_VARIANT = 0b10 << 62

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_UUID7 = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE
)

# A step below 2**32 keeps neighbours hard to guess and leaves room for billions of ids in one millisecond.
_STEP_BITS = 32
# The counter begins with its highest bit clear, so that it seldom overflows (RFC 9562, section 6.2).
_FRESH_BITS = RANDOM_BITS - 1


def uuid7(unix_ms: int, random_bits: int) -> str:
    """Return the UUIDv7 (RFC 9562, section 5.7) of a time in milliseconds and 74 bits, in lower case.

    The high 12 bits of `random_bits` are rand_a, the low 62 rand_b. Raises ValueError for a time or bits
    out of range.
    """
    if not 0 <= unix_ms <= MAX_UNIX_MS:
        raise ValueError("a UUIDv7 needs a time from 0 to 2**48 - 1 milliseconds")
    if not 0 <= random_bits < 1 << RANDOM_BITS:
        raise ValueError("a UUIDv7 needs 74 random bits")
    rand_a, rand_b = divmod(random_bits, 1 << _RAND_B_BITS)
    digits = f"{unix_ms << 80 | _VERSION_7 | rand_a << 64 | _VARIANT | rand_b:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def uuid7_time_ms(value: str) -> int | None:
    """Return the milliseconds since the epoch that a UUIDv7 tells, or None if `value` is not one."""
    match = _UUID7.fullmatch(value)
    return int(match.group(1) + match.group(2), 16) if match else None


def require_uuid(value: str, field: str) -> str:
    """Return a UUID in lower case; raises InvalidInputError (FIELD_INVALID) for anything else."""
    if is_uuid(value):
        return value.lower()
    raise invalid_field(
        ErrorReason.FIELD_INVALID, field, "must be a UUID such as 01936b2e-7c3a-7f10-8a4b-2f6d1c9e0b5a"
    )


def is_uuid(value: str) -> bool:
    """Tell whether `value` is a UUID of any version in its hex-and-dash form, in either case."""
    return _UUID.fullmatch(value) is not None


class RandomBits:
    """Gives random bits from a source of bytes, which it asks for many at once, as each time takes long.

    For one event loop of one process: a fork would give the same bits again.
    """

    _STORE_BYTES = 4_096

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """Take a source of `n` random bytes."""
        self._random_bytes = random_bytes
        self._store = b""
        self._used = 0

    def __call__(self, bits: int) -> int:
        """Return so many random bits, up to 4,096, as an integer. None is given twice."""
        count = (bits + 7) // 8
        if self._used + count > len(self._store):
            self._store, self._used = self._random_bytes(self._STORE_BYTES), 0
        begin, self._used = self._used, self._used + count
        return int.from_bytes(self._store[begin : self._used]) >> (8 * count - bits)


class UuidFactory:
    """Makes UUIDv7s that only ever increase, also when the clock stands still or steps back.

    Within one millisecond the 74 bits are a counter that grows by random steps (RFC 9562, section 6.2,
    method 2); when it is used up, the time of the ids runs ahead of the clock by a millisecond. For one
    event loop; several threads need one factory each.
    """

    def __init__(self, clock_ms: Callable[[], int], random_bits: Callable[[int], int]) -> None:
        """Take a clock of milliseconds since the epoch, and a source of `n` random bits as an integer."""
        self._clock_ms = clock_ms
        self._random_bits = random_bits
        self._last_ms = -1
        self._last_bits = 0

    def __call__(self) -> str:
        """Return the next id."""
        now = self._clock_ms()
        bits = self._last_bits + 1 + self._random_bits(_STEP_BITS)
        if now > self._last_ms or bits >> RANDOM_BITS:
            self._last_ms = max(now, self._last_ms + 1)
            bits = self._random_bits(_FRESH_BITS)
        self._last_bits = bits
        return uuid7(self._last_ms, bits)

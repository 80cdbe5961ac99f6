"""The format of a segment: a header with a mark of what is settled, then one frame for each record.

    header   "PECIASEG", version u32, CRC-32C u32 of these, settled u64, CRC-32C u32 of it; little-endian
    frame    FF 50 52 FE, length u32, CRC-32C u32 of length and body, body

A body is JSON in UTF-8, in which the bytes FF and FE never occur: whatever a prompt says, no marker begins
within a body. So reading finds its way again at the next marker after any damage, and a damaged byte costs
one record at most. `settled` is the offset up to which every record is where it was to be brought.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import google_crc32c

VERSION: Final = 1
MARKER: Final = b"\xffPR\xfe"

_MAGIC: Final = b"PECIASEG"
_START: Final = struct.Struct("<8sII")
_SETTLED: Final = struct.Struct("<QI")
_OFFSET: Final = struct.Struct("<Q")
_FRAME: Final = struct.Struct("<4sII")
_LENGTH: Final = struct.Struct("<I")

HEADER_BYTES: Final = _START.size + _SETTLED.size
SETTLED_AT: Final = _START.size
"""Where in the header the mark is."""
FRAME_BYTES: Final = _FRAME.size
"""What a frame adds to its body."""


@dataclass(frozen=True, slots=True)
class Body:
    """A whole frame: its body, and the offset after it."""

    body: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes between whole frames that are none; `torn` when they are what an interrupted write leaves."""

    start: int
    end: int
    torn: bool


Found: TypeAlias = Body | Damage


def header() -> bytes:
    """Return the header of a new segment."""
    start = _MAGIC + _LENGTH.pack(VERSION)
    return start + _LENGTH.pack(google_crc32c.value(start)) + settled_mark(HEADER_BYTES)


def settled_mark(offset: int) -> bytes:
    """Return the header's mark; it is written at SETTLED_AT."""
    return _SETTLED.pack(offset, google_crc32c.value(_OFFSET.pack(offset)))


def frame(body: bytes) -> bytes:
    """Return the frame of a record's body."""
    length = len(body)
    checksum = google_crc32c.extend(google_crc32c.value(_LENGTH.pack(length)), body)
    return _FRAME.pack(MARKER, length, checksum) + body


def version_of(data: bytes) -> int | None:
    """Return the version of a segment's format, None when its header can't be read."""
    if len(data) < _START.size:
        return None
    magic, version, checksum = _START.unpack_from(data)
    if magic != _MAGIC or checksum != google_crc32c.value(data[: _START.size - _LENGTH.size]):
        return None
    return int(version)


def first_unsettled(data: bytes) -> int:
    """Return where to begin to scan a segment: after what is settled, or at 0 where the header is damaged."""
    if len(data) < HEADER_BYTES:
        return len(data) if header().startswith(data) else 0
    return _settled_offset(data) if version_of(data) == VERSION else 0


def _settled_offset(data: bytes) -> int:
    """Return where the records begin that are not settled; the first, when the mark can't be read."""
    offset, checksum = _SETTLED.unpack_from(data, SETTLED_AT)
    if not HEADER_BYTES <= offset <= len(data) or checksum != google_crc32c.value(_OFFSET.pack(offset)):
        return HEADER_BYTES
    return int(offset)


def scan(data: bytes, start: int = HEADER_BYTES) -> Iterator[Found]:
    """Give what is in a segment from an offset to its end; nothing is raised, whatever the bytes are."""
    at = start
    while at < len(data):
        found = _read(data, at)
        if found is None:
            begin, resumed = at, _next_frame(data, at + 1)
            at = len(data) if resumed is None else resumed
            yield Damage(begin, at, torn=resumed is None and _is_cut(data, begin))
        else:
            yield found
            at = found.end


def _read(data: bytes, at: int) -> Body | None:
    if len(data) - at < FRAME_BYTES:
        return None
    marker, length, checksum = _FRAME.unpack_from(data, at)
    begin = at + FRAME_BYTES
    if marker != MARKER or begin + length > len(data):
        return None
    body = data[begin : begin + length]
    if google_crc32c.extend(google_crc32c.value(_LENGTH.pack(length)), body) != checksum:
        return None
    return Body(body, begin + length)


def _next_frame(data: bytes, at: int) -> int | None:
    """Return where the next whole frame begins."""
    while (at := data.find(MARKER, at)) >= 0:
        if _read(data, at) is not None:
            return at
        at += 1
    return None


def _is_cut(data: bytes, at: int) -> bool:
    """Tell whether the rest is the beginning of a frame whose end was never written."""
    rest = len(data) - at
    if rest < FRAME_BYTES:
        return data[at : at + 4] == MARKER[:rest]
    marker, length, _ = _FRAME.unpack_from(data, at)
    return bool(marker == MARKER and FRAME_BYTES + length > rest)

"""Header compression (RFC 7541): enough to make gRPC calls and read their statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

Field = tuple[bytes, bytes]

_STATIC_ENTRIES: Final = 61
_ENTRY_OVERHEAD: Final = 32
_TABLE_BYTES: Final = 4096
_MEMO_BLOCKS: Final = 256
_METHOD_POST: Final = 0x83
_SCHEME_HTTP: Final = 0x86


class CallHeaders:
    """The header blocks of calls with the same fields: spelled out the first time, indexed afterwards.

    All blocks of one make up the table of a connection, so a connection has one of these.
    """

    def __init__(self, authority: bytes, extra: Sequence[Field] = ()) -> None:
        self._fields = [
            (b":authority", authority),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"pecia-bench"),
            *extra,
        ]
        self._paths: dict[bytes, int] = {}
        self._inserted = 0

    def block(self, path: bytes) -> bytes:
        """Return the next call's block."""
        block = bytearray((_METHOD_POST, _SCHEME_HTTP))
        if path not in self._paths:
            block += self._literal((b":path", path))
            self._paths[path] = self._inserted
        else:
            block.append(self._index(self._paths[path]))
        if self._inserted == 1:
            for field in self._fields:
                block += self._literal(field)
        else:
            for number in range(2, len(self._fields) + 2):
                block.append(self._index(number))
        return bytes(block)

    def _literal(self, field: Field) -> bytes:
        self._inserted += 1
        name, value = field
        assert max(len(name), len(value)) < 127, "a longer text needs a longer length"
        return bytes((0x40, len(name))) + name + bytes((len(value),)) + value

    def _index(self, number: int) -> int:
        """Return the indexed form of what was inserted as this number, from 1."""
        index = _STATIC_ENTRIES + 1 + self._inserted - number
        assert index < 127, "a longer table needs a longer index"
        return 0x80 | index


class HeaderReader:
    """Reads the header blocks that one connection receives, in their order.

    Names of the static table are not spelled out: no field that is specific to gRPC is among them.
    """

    def __init__(self) -> None:
        self._table: list[Field] = []
        self._memo: dict[bytes, Mapping[bytes, bytes]] = {}

    def read(self, block: bytes) -> Mapping[bytes, bytes]:
        """Return the fields of a block."""
        known = self._memo.get(block)
        if known is not None:
            return known
        fields: dict[bytes, bytes] = {}
        at = 0
        changed = False
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 7)
                name, value = self._entry(index)
            elif first & 0xE0 == 0x20:
                _, at = _integer(block, at, 5)
                self._memo.clear()
                changed = True
                continue
            else:
                kept = bool(first & 0x40)
                index, at = _integer(block, at, 6 if kept else 4)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, at = _string(block, at)
                value, at = _string(block, at)
                if kept:
                    self._insert((name, value))
                    changed = True
            fields[name] = value
        # What only names entries means the same until the table changes; a server that puts an id into each
        # block must not fill the memory.
        if not changed and len(self._memo) < _MEMO_BLOCKS:
            self._memo[block] = fields
        return fields

    def _entry(self, index: int) -> Field:
        if index <= _STATIC_ENTRIES:
            return b"static-%d" % index, b""
        return self._table[index - _STATIC_ENTRIES - 1]

    def _insert(self, field: Field) -> None:
        self._memo.clear()
        self._table.insert(0, field)
        while sum(len(name) + len(value) + _ENTRY_OVERHEAD for name, value in self._table) > _TABLE_BYTES:
            self._table.pop()


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value = block[at] & limit
    at += 1
    if value < limit:
        return value, at
    shift = 0
    while True:
        part = block[at]
        at += 1
        value += (part & 0x7F) << shift
        shift += 7
        if not part & 0x80:
            return value, at


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    huffman = bool(block[at] & 0x80)
    length, at = _integer(block, at, 7)
    text = block[at : at + length]
    # gRPC's core sends text as it is; what is compressed all the same can't be mistaken for a status.
    return (b"huffman:" + text if huffman else text), at + length

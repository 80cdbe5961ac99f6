"""One HTTP/2 connection that makes gRPC calls with as little work as Python can do it with (RFC 9113).

Messages go in and out as bytes, many frames in one system call: the generator must leave its core time to
spare while a server is busy, or it would be measured in the server's place.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from load.bench.hpack import CallHeaders, Field, HeaderReader

_FRAME: Final = struct.Struct(">HBBBL")
_PREFIX: Final = struct.Struct(">BL")
_SETTING: Final = struct.Struct(">HL")
_NUMBER: Final = struct.Struct(">L")

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
_CONTINUATION: Final = 0x9
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 0x4, 0x5

_FRAME_BYTES: Final = 9
_PREFIX_BYTES: Final = 5
_FIRST_WINDOW: Final = 65_535
_LARGEST_WINDOW: Final = 2**31 - 1
_OUR_FRAME_BYTES: Final = 1 << 20
_CREDIT: Final = 1 << 24
_READ: Final = 1 << 20
_PATIENCE: Final = 60.0


class Event(NamedTuple):
    """What came for a stream: a message, or with `status` its end; OK is b"0"."""

    stream: int
    message: bytes | None
    status: bytes | None


class ConnectionLostError(Exception):
    """The server ended the connection, or a stream without a status."""


class Connection:
    """A connection to HOST:PORT; each call has the `metadata`.

    Sending blocks when the server takes nothing more; `receive` blocks until something has come.
    """

    def __init__(self, target: str, metadata: Sequence[Field] = ()) -> None:
        host, _, port = target.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = CallHeaders(target.encode(), metadata)
        self._reader = HeaderReader()
        self._rest = b""
        self._out = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._next = 1
        self._window = _FIRST_WINDOW
        self._stream_window = _FIRST_WINDOW
        self._frame_bytes = 16_384
        self._windows: dict[int, int] = {}
        self._waiting: deque[tuple[int, bytes, bool]] = deque()
        self._partial: dict[int, bytearray] = {}
        self._open: set[int] = set()
        self._uncredited = 0
        settings = _SETTING.pack(_INITIAL_WINDOW_SIZE, _LARGEST_WINDOW) + _SETTING.pack(
            _MAX_FRAME_SIZE, _OUR_FRAME_BYTES
        )
        self._frame(_SETTINGS, 0, 0, settings)
        self._frame(_WINDOW, 0, 0, _NUMBER.pack(_LARGEST_WINDOW - _FIRST_WINDOW))

    def fileno(self) -> int:
        """Return the socket's number, for a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def open(self, path: bytes) -> int:
        """Begin a call whose messages follow, and return its stream."""
        stream = self._next
        self._next += 2
        self._open.add(stream)
        self._windows[stream] = self._stream_window
        self._frame(_HEADERS, _END_HEADERS, stream, self._headers.block(path))
        return stream

    def call(self, path: bytes, message: bytes) -> int:
        """Make a call of one message, and return its stream; it leaves with the next `flush`."""
        stream = self.open(path)
        self.send(stream, message, end=True)
        return stream

    def send(self, stream: int, message: bytes, *, end: bool = False) -> None:
        """Send a message on a stream, as far as the server's windows let it."""
        data = _PREFIX.pack(0, len(message)) + message
        if not self._waiting and len(data) <= min(self._window, self._windows[stream], self._frame_bytes):
            self._window -= len(data)
            self._windows[stream] -= len(data)
            self._frame(_DATA, _END_STREAM if end else 0, stream, data)
            return
        self._waiting.append((stream, data, end))
        self._send_waiting()

    def end(self, stream: int) -> None:
        """Say that no more messages follow on a stream."""
        self._waiting.append((stream, b"", True))
        self._send_waiting()

    def flush(self) -> None:
        """Send what has been gathered."""
        if self._out:
            self._socket.sendall(self._out)
            self._out.clear()

    def receive(self) -> list[Event]:
        """Read once, and return what is complete; raises ConnectionLostError."""
        got = self._socket.recv(_READ)
        if not got:
            raise ConnectionLostError("the server closed the connection")
        data = self._rest + got if self._rest else got
        events: list[Event] = []
        at, size = 0, len(data)
        while size - at >= _FRAME_BYTES:
            high, low, kind, flags, stream = _FRAME.unpack_from(data, at)
            start = at + _FRAME_BYTES
            stop = start + (high << 8 | low)
            if stop > size:
                break
            if kind == _DATA:
                self._uncredited += stop - start
                self._cut(stream, data, start, stop, events)
            elif kind == _HEADERS:
                self._read_headers(stream, flags, data[start:stop], events)
            else:
                self._control(kind, flags, stream, data[start:stop])
            at = stop
        self._rest = data[at:]
        if self._uncredited > _CREDIT:
            self._frame(_WINDOW, 0, 0, _NUMBER.pack(self._uncredited))
            self._uncredited = 0
        return events

    def _cut(self, stream: int, data: bytes, start: int, stop: int, events: list[Event]) -> None:
        """Cut a stream's bytes into messages; most frames are exactly one."""
        partial = self._partial.get(stream)
        if partial is None:
            if stop - start >= _PREFIX_BYTES:
                _, length = _PREFIX.unpack_from(data, start)
                if stop - start == _PREFIX_BYTES + length:
                    events.append(Event(stream, data[start + _PREFIX_BYTES : stop], None))
                    return
            partial = self._partial[stream] = bytearray()
        partial += data[start:stop]
        at = 0
        while len(partial) - at >= _PREFIX_BYTES:
            _, length = _PREFIX.unpack_from(partial, at)
            end = at + _PREFIX_BYTES + length
            if end > len(partial):
                break
            events.append(Event(stream, bytes(partial[at + _PREFIX_BYTES : end]), None))
            at = end
        del partial[:at]
        if not partial:
            del self._partial[stream]

    def _read_headers(self, stream: int, flags: int, block: bytes, events: list[Event]) -> None:
        if not flags & _END_HEADERS:
            raise ConnectionLostError("the server sent headers in pieces, which this client does not read")
        fields = self._reader.read(block)
        if flags & _END_STREAM:
            self._open.discard(stream)
            del self._windows[stream]
            status = fields.get(b"grpc-status", b"none")
            events.append(Event(stream, None, status))

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW:
            (credit,) = _NUMBER.unpack(payload)
            if stream == 0:
                self._window += credit
            elif stream in self._windows:
                self._windows[stream] += credit
            self._send_waiting()
        elif kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(payload), _SETTING.size):
                self._apply(*_SETTING.unpack_from(payload, at))
            self._frame(_SETTINGS, _ACK, 0, b"")
            self._send_waiting()
        elif kind == _PING and not flags & _ACK:
            self._frame(_PING, _ACK, 0, payload)
        elif (kind == _RESET and stream in self._open) or kind in {_GOAWAY, _CONTINUATION}:
            raise ConnectionLostError(f"the server ended a call by a frame of kind {kind}: {payload!r}")

    def _apply(self, setting: int, value: int) -> None:
        if setting == _INITIAL_WINDOW_SIZE:
            for stream in self._windows:
                self._windows[stream] += value - self._stream_window
            self._stream_window = value
        elif setting == _MAX_FRAME_SIZE:
            self._frame_bytes = value

    def _send_waiting(self) -> None:
        """Send what waits for the server's windows, in order, as far as they reach."""
        while self._waiting:
            stream, data, end = self._waiting[0]
            if stream not in self._windows:
                # It was answered, with an error, before all of it was sent.
                self._waiting.popleft()
                continue
            room = min(self._window, self._windows[stream], self._frame_bytes)
            if data and room <= 0:
                return
            part, rest = data[:room] if data else b"", data[room:] if data else b""
            self._window -= len(part)
            self._windows[stream] -= len(part)
            self._frame(_DATA, _END_STREAM if end and not rest else 0, stream, part)
            if rest:
                self._waiting[0] = (stream, rest, end)
            else:
                self._waiting.popleft()

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        length = len(payload)
        self._out += _FRAME.pack(length >> 8, length & 0xFF, kind, flags, stream)
        self._out += payload

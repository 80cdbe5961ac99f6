"""The bench's own HTTP/2: header blocks that both ends read alike, and messages cut as they came."""

import socket
import struct
from collections.abc import Iterator

import pytest
from load.bench.hpack import CallHeaders, HeaderReader
from load.bench.http2 import Connection, ConnectionLostError, Event

FRAME = struct.Struct(">HBBBL")
DATA, HEADERS, SETTINGS, GOAWAY, WINDOW = 0x0, 0x1, 0x4, 0x7, 0x8
END_STREAM, END_HEADERS = 0x1, 0x4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Make a frame."""
    return FRAME.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def message(text: bytes) -> bytes:
    """Put gRPC's prefix before a message."""
    return struct.pack(">BL", 0, len(text)) + text


def literal(name: bytes, value: bytes) -> bytes:
    """Make a field that goes into the table."""
    return bytes((0x40, len(name))) + name + bytes((len(value),)) + value


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """Give a connection, and the server's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(f"127.0.0.1:{listener.getsockname()[1]}")
        peer, _ = listener.accept()
        with peer:
            yield connection, peer
        connection.close()


def sent_by(connection: Connection, peer: socket.socket) -> list[tuple[int, int, int, bytes]]:
    """Return the frames that a connection has gathered."""
    connection.flush()
    peer.settimeout(5)
    data = peer.recv(1 << 20)
    data = data.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    frames = []
    while data:
        high, low, kind, flags, stream = FRAME.unpack_from(data)
        length = high << 8 | low
        frames.append((kind, flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return frames


def test_later_calls_name_fields_that_the_first_spelled_out() -> None:
    """The second block means what the first did, in a byte for each field."""
    headers, reader = CallHeaders(b"here:1", [(b"grpc-timeout", b"20S")]), HeaderReader()
    first, second = headers.block(b"/a/B"), headers.block(b"/a/B")
    expected = {
        b"static-3": b"",
        b"static-6": b"",
        b":path": b"/a/B",
        b":authority": b"here:1",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
        b"user-agent": b"pecia-bench",
        b"grpc-timeout": b"20S",
    }
    assert (expected, expected, 8) == (reader.read(first), reader.read(second), len(second))


def test_the_status_is_read_from_the_table_of_the_connection() -> None:
    """A block of one index is what the last literal was."""
    reader = HeaderReader()
    reader.read(literal(b"grpc-status", b"0"))
    assert {b"grpc-status": b"0"} == reader.read(b"\xbe")
    reader.read(literal(b"grpc-status", b"5"))
    assert {b"grpc-status": b"5"} == reader.read(b"\xbe")


def test_messages_are_cut_wherever_their_frames_are(ends: tuple[Connection, socket.socket]) -> None:
    """One message in two frames, two in one, and the end with its status."""
    connection, peer = ends
    stream = connection.call(b"/a/B", b"x")
    first, both = message(b"one"), message(b"two") + message(b"three")
    peer.sendall(
        frame(DATA, 0, stream, first[:4])
        + frame(DATA, 0, stream, first[4:])
        + frame(DATA, 0, stream, both)
        + frame(HEADERS, END_STREAM | END_HEADERS, stream, literal(b"grpc-status", b"0"))
    )
    events: list[Event] = []
    while not events or events[-1].status is None:
        events += connection.receive()
    assert [
        Event(stream, b"one", None),
        Event(stream, b"two", None),
        Event(stream, b"three", None),
        Event(stream, None, b"0"),
    ] == events


def test_a_large_message_waits_for_the_servers_window(ends: tuple[Connection, socket.socket]) -> None:
    """No more than the window goes out, and the rest when there is credit."""
    connection, peer = ends
    body = bytes(100_000)
    stream = connection.call(b"/a/B", body)
    before = [payload for kind, _, _, payload in sent_by(connection, peer) if kind == DATA]
    credit = struct.pack(">L", 100_000)
    peer.sendall(frame(WINDOW, 0, 0, credit) + frame(WINDOW, 0, stream, credit))
    connection.receive()
    after = [(flags, payload) for kind, flags, _, payload in sent_by(connection, peer) if kind == DATA]
    assert (65_535, message(body)) == (
        sum(map(len, before)),
        b"".join(before) + b"".join(payload for _, payload in after),
    )
    assert [0] * (len(after) - 1) + [END_STREAM] == [flags for flags, _ in after]


def test_a_server_that_goes_away_is_an_error(ends: tuple[Connection, socket.socket]) -> None:
    """Nothing waits for answers that never come."""
    connection, peer = ends
    peer.sendall(frame(GOAWAY, 0, 0, bytes(8)))
    with pytest.raises(ConnectionLostError):
        connection.receive()

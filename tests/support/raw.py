"""Protobuf's wire format by hand, for bytes that no library would write."""

WIRE_VARINT = 0
WIRE_LENGTH = 2
WIRE_GROUP_START = 3
WIRE_GROUP_END = 4


def varint(number: int) -> bytes:
    """Write a whole number, seven bits a byte, least first."""
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


def tag(field: int, wire_type: int) -> bytes:
    """Write what begins a field."""
    return varint(field << 3 | wire_type)


def number(field: int, value: int = 1) -> bytes:
    """Write a field that is a whole number."""
    return tag(field, WIRE_VARINT) + varint(value)


def nested(field: int, *parts: bytes) -> bytes:
    """Write a field that is text, bytes or a message."""
    data = b"".join(parts)
    return tag(field, WIRE_LENGTH) + varint(len(data)) + data


def group(field: int, *parts: bytes) -> bytes:
    """Write a field that is a group, as proto2 had them."""
    return tag(field, WIRE_GROUP_START) + b"".join(parts) + tag(field, WIRE_GROUP_END)

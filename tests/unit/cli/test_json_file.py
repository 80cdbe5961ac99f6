"""JSON that could be read in two ways is refused with its place and what to do."""

from pathlib import Path

import pytest
from pecia_service.cli import json_file
from pecia_service.cli.failures import InputError
from pecia_service.cli.json_file import read_object, read_text


def write(tmp_path: Path, data: bytes) -> str:
    """Write a file and give its name."""
    path = tmp_path / "file.json"
    path.write_bytes(data)
    return str(path)


def refusal(name: str) -> str:
    """Give the message with which a file is refused, without its path."""
    with pytest.raises(InputError) as raised:
        read_object(name)
    return raised.value.message.removeprefix(name)


def test_an_object_is_read_as_it_is(tmp_path: Path) -> None:
    """Nested values, the largest safe integers and fractions come through."""
    data = b'{"a": [1, 0.5, null, true, "\xc3\xa9"], "b": {"n": -9007199254740991}}'
    expected = {"a": [1, 0.5, None, True, "é"], "b": {"n": -9007199254740991}}
    assert read_object(write(tmp_path, data)) == expected


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    """Editors that write one are common."""
    assert read_object(write(tmp_path, b'\xef\xbb\xbf{"a": 1}')) == {"a": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', ': has the key "c" twice in one object; keep one of them'),
        (
            b'{"a": 9007199254740992}',
            ": has the integer 9007199254740992, which is beyond ±(2^53 - 1); write it as text in quotes",
        ),
        (
            b'{"a": -9007199254740992}',
            ": has the integer -9007199254740992, which is beyond ±(2^53 - 1); write it as text in quotes",
        ),
        (
            b'{"a": ' + b"1" * 5000 + b"}",
            f": has the integer {'1' * 24}..., which is beyond ±(2^53 - 1); write it as text in quotes",
        ),
        (b'{"a": NaN}', ": has NaN, which JSON does not have"),
        (b'{"a": -Infinity}', ": has -Infinity, which JSON does not have"),
        (b'{"a": 1e999}', ": has a number that no double can hold; write it as text in quotes"),
        (b'{"a": 1,\n "b" 2}', ":2:6: is not JSON: Expecting ':' delimiter"),
        (b"", ":1:1: is not JSON: Expecting value"),
        (b"[1]", ": must hold a JSON object, which begins with {"),
        (b'{"a": "\xff"}', ": is not UTF-8 (byte 7); save it as UTF-8"),
        (b"[" * 100_000, ": is nested too deeply"),
    ],
)
def test_ambiguous_json_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """Each refusal names the file and what is wrong in it."""
    assert refusal(write(tmp_path, data)) == message


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is read whole before its size is known."""
    monkeypatch.setattr(json_file, "MAX_FILE_BYTES", 10)
    assert refusal(write(tmp_path, b'{"a": 1234}')) == ": has more than 10 bytes"
    assert read_object(write(tmp_path, b'{"a": 123}')) == {"a": 123}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The operating system's reason is given."""
    assert refusal(str(tmp_path / "none.json")) == ": can't be read: No such file or directory"


def test_text_is_read_to_the_byte(tmp_path: Path) -> None:
    """A model's answer keeps its line ends and its byte-order mark, so that spans stay true."""
    assert read_text(write(tmp_path, "\ufeffa\r\nb\n".encode())) == "\ufeffa\r\nb\n"

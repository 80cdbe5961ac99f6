"""Read JSON that people and programs write, and refuse what could be read in two ways."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pecia_service.canonical import MAX_SAFE_INTEGER, JsonObject, JsonValue
from pecia_service.cli.failures import InputError
from pecia_service.cli.output import Output

STDIN = "-"
MAX_FILE_BYTES = 16 * 1024 * 1024
"""More than the largest payload, receipt or answer needs in any spelling."""

_MAX_INTEGER_DIGITS = len(str(MAX_SAFE_INTEGER))
_SHOWN_DIGITS = 24


def read_object(name: str) -> JsonObject:
    """Read the JSON object in a file, or on stdin for `-`; one leading byte-order mark is dropped.

    Raises InputError for what is no UTF-8, no JSON object, too large or too deep, for a key that stands
    twice, and for numbers that a reader elsewhere may not hold: integers beyond ±(2^53 - 1), NaN, infinities.
    """
    shown = shown_name(name)
    try:
        value: JsonValue = json.loads(
            read_text(name).removeprefix("\ufeff"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise InputError(f"{shown}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from None
    except _RefusedError as error:
        raise InputError(f"{shown}: {error}") from None
    except RecursionError:
        raise InputError(f"{shown}: is nested too deeply") from None
    if not isinstance(value, dict):
        raise InputError(f"{shown}: must hold a JSON object, which begins with {{")
    return value


def read_text(name: str) -> str:
    """Read the text of a file, or of stdin for `-`, as it is.

    Raises InputError for what can't be read, is too large, or is not UTF-8.
    """
    shown = shown_name(name)
    try:
        if name == STDIN:
            if sys.stdin.isatty():
                Output().note("reading from standard input; end with Ctrl-D")
            data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown}: can't be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{shown}: has more than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{shown}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def shown_name(name: str) -> str:
    """Return a file's name for messages."""
    return "stdin" if name == STDIN else name


class _RefusedError(Exception):
    """JSON that is well-formed and yet refused."""


def _object(pairs: Sequence[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in result:
            raise _RefusedError(f"has the key {json.dumps(key)} twice in one object; keep one of them")
        result[key] = value
    return result


def _integer(digits: str) -> int:
    # Python refuses to read very long integers, so their length is looked at first.
    if len(digits.lstrip("-")) > _MAX_INTEGER_DIGITS or abs(int(digits)) > MAX_SAFE_INTEGER:
        shown = digits if len(digits) <= _SHOWN_DIGITS else f"{digits[:_SHOWN_DIGITS]}..."
        raise _RefusedError(
            f"has the integer {shown}, which is beyond ±(2^53 - 1); write it as text in quotes"
        )
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _RefusedError("has a number that no double can hold; write it as text in quotes")
    return value


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"has {name}, which JSON does not have")

"""The placeholder compiler: template text to literals and placeholders, once per template version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import orjson

from pecia_service.canonical import MAX_SAFE_INTEGER, canonical_json, normalise_text
from pecia_service.errors import (
    Error,
    ErrorReason,
    FieldViolation,
    InvalidInputError,
)

PATH_ROOTS = ("task", "activity_level", "stress", "constraints", "semantic_traits")
MAX_REPORTED = 32
"""How many faults of one template are reported at once."""

_MAX_COMPARED = 64

_WS = re.compile(r"[ \t\n]*")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*", re.ASCII)
_JSON_SCALAR = re.compile(
    r'"(?:[^"\\\x00-\x1f]|\\.)*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null',
    re.ASCII,
)
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_AFTER_SCALAR = re.compile(r"[A-Za-z0-9_.+-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that is copied."""

    text: str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A place that a value is inserted in.

    `default` is the text that stands in for a missing path, ready to insert; None when there is none.
    """

    path: tuple[str, ...]
    as_json: bool
    default: str | None

    @property
    def dotted(self) -> str:
        """The path as a template writes it."""
        return ".".join(self.path)


Segment: TypeAlias = Literal | Placeholder


def compile_template(content: str, field: str = "content") -> tuple[Segment, ...]:
    """Parse a template's normalised content into segments.

    Raises InvalidInputError (TEMPLATE_SYNTAX) with line, column (both from 1, in code points) and what to
    write instead, for up to 32 faults at once; `field` is the path that the errors name.
    """
    compiler = _Compiler(content)
    segments = compiler.run()
    if compiler.faults:
        raise _syntax_error(compiler.faults, content, field)
    return segments


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong at an offset of the content."""

    offset: int
    description: str


class _FaultError(Exception):
    """Carries one fault from the place that finds it to the loop that keeps it."""

    def __init__(self, offset: int, description: str) -> None:
        super().__init__(description)
        self.fault = _Fault(offset, description)


class _Compiler:
    """One pass over one content; keeps faults and goes on after each."""

    def __init__(self, content: str) -> None:
        self._content = content
        self._segments: list[Segment] = []
        self._text: list[str] = []
        self.faults: list[_Fault] = []

    def run(self) -> tuple[Segment, ...]:
        content, position = self._content, 0
        while (opening := content.find("{{", position)) >= 0:
            text = content[position:opening]
            backslashes = len(text) - len(text.rstrip("\\"))
            self._text.append(text[: len(text) - backslashes] + "\\" * (backslashes // 2))
            position = opening + 2
            if backslashes % 2:
                self._text.append("{{")
                continue
            try:
                placeholder, position = self._placeholder(position)
            except _FaultError as error:
                self.faults.append(error.fault)
                if len(self.faults) == MAX_REPORTED:
                    break
                continue
            self._flush()
            self._segments.append(placeholder)
        self._text.append(content[position:])
        self._flush()
        return tuple(self._segments)

    def _flush(self) -> None:
        text = "".join(self._text)
        self._text.clear()
        if text:
            self._segments.append(Literal(text))

    def _placeholder(self, start: int) -> tuple[Placeholder, int]:
        """Parse from right behind `{{`; return the placeholder and the offset behind its `}}`."""
        content = self._content
        position = self._skip(start)
        as_json = content.startswith("json:", position)
        if as_json:
            position += len("json:")
        match = _PATH.match(content, position)
        if match is None:
            raise _FaultError(
                start - 2, f"no path after {{{{; write {{{{task}}}}, or {self._escape()} for literal braces"
            )
        path = tuple(match.group().split("."))
        self._check_path(path, match.start())
        position = self._skip(match.end())
        default: str | None = None
        if content.startswith("|", position):
            default, position = self._default(self._skip(position + 1), as_json)
            position = self._skip(position)
        if content.find("}}", position) < 0:
            raise _FaultError(start - 2, f"{{{{ is not closed; write }}}}, or {self._escape()}")
        if not content.startswith("}}", position):
            raise _FaultError(
                position,
                f"expected }}}} (or | and a default) here; close the placeholder, or write {self._escape()}",
            )
        return Placeholder(path, as_json, default), position + 2

    def _check_path(self, path: tuple[str, ...], offset: int) -> None:
        root = path[0]
        if root not in PATH_ROOTS:
            near = get_close_matches(root[:_MAX_COMPARED], PATH_ROOTS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise _FaultError(
                offset,
                f"unknown path{hint}; it begins with one of {', '.join(PATH_ROOTS)}; "
                f"or write {self._escape()}",
            )
        if len(path) > 1 and root != "semantic_traits":
            raise _FaultError(offset, f"{root} has no parts; write {{{{{root}}}}}")

    def _default(self, start: int, as_json: bool) -> tuple[str, int]:
        match = _JSON_SCALAR.match(self._content, start)
        if match is None or _AFTER_SCALAR.match(self._content, match.end()):
            raise _FaultError(
                start, 'a default is a JSON literal: "text" in double quotes, a number, true, false or null'
            )
        literal = match.group()
        try:
            value = orjson.loads(literal)
            if isinstance(value, str):
                text = normalise_text(value, "default")
                return (canonical_json(text).decode() if as_json else text), match.end()
        except (orjson.JSONDecodeError, Error):
            raise _FaultError(
                start,
                "this default is not valid JSON, its number is too large, "
                "or its text holds U+0000 or a lone surrogate",
            ) from None
        # orjson reads an integer of more than 64 bits as a float, so the literal tells which it is.
        if _INTEGER.fullmatch(literal) and abs(value) > MAX_SAFE_INTEGER:
            raise _FaultError(start, "this integer is beyond 2**53 - 1; write it as text in double quotes")
        return canonical_json(value).decode(), match.end()

    def _skip(self, position: int) -> int:
        match = _WS.match(self._content, position)
        return match.end() if match else position

    @staticmethod
    def _escape() -> str:
        return r"\{{"


def _syntax_error(faults: list[_Fault], content: str, field: str) -> InvalidInputError:
    violations = []
    for fault in faults:
        line, column = _place(content, fault.offset)
        violations.append(FieldViolation(field, f"line {line}, column {column}: {fault.description}"))
    line, column = _place(content, faults[0].offset)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return InvalidInputError(
        ErrorReason.TEMPLATE_SYNTAX,
        f"{field}: {violations[0].description}{more}",
        metadata={"field": field, "line": str(line), "column": str(column)},
        violations=violations,
    )


def _place(content: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both from 1."""
    return content.count("\n", 0, offset) + 1, offset - content.rfind("\n", 0, offset)

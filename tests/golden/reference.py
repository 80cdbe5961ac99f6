"""A second implementation of the canonical forms and the renderer, which shares no code with the service.

It knows valid input only, and takes no care of speed: authors of clients may read it as the specification.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import rfc8785
import unicodedata2

SLOTS: Final = ("system", "personality", "activity", "task")
LEAST: Final = ("MAX_SENTENCE_LENGTH", "MAX_PARAGRAPHS", "ASSERTIVENESS_LEVEL")

_OPENING = re.compile(r"(\\*)\{\{")
_PLACEHOLDER = re.compile(
    r"\{\{[ \t\n]*(json:)?([A-Za-z0-9_.-]+)[ \t\n]*"
    r'(?:\|[ \t\n]*("(?:[^"\\]|\\.)*"|[^ \t\n}]+)[ \t\n]*)?\}\}'
)


def sha256(data: bytes) -> str:
    """Return the lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def normalise(value: Any) -> Any:
    """Normalise every string of a JSON value, keys too."""
    if isinstance(value, str):
        text = value
        while text[:1] == "\ufeff":
            text = text[1:]
        text = "\n".join("\n".join(text.split("\r\n")).split("\r"))
        return unicodedata2.normalize("NFC", text)
    if isinstance(value, dict):
        return {normalise(key): normalise(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normalise(item) for item in value]
    return value


def strip(text: str) -> str:
    """Drop white space at both ends, and every byte-order mark that begins the text meanwhile."""
    while text[:1].isspace() or text[:1] == "\ufeff":
        text = text[1:]
    return text.rstrip()


def bare(text: str) -> str:
    """Take white space off both ends, and byte-order marks off the beginning."""
    while text != text.strip() or text[:1] == "\ufeff":
        text = text.strip()
        text = text[1:] if text[:1] == "\ufeff" else text
    return text


def content_of(template: Mapping[str, Any]) -> str:
    """Return the normalised content of a template."""
    content: str = normalise(template["content"])
    return content.rstrip("\n")


def payload_bytes(payload: Mapping[str, Any]) -> bytes:
    """Return the canonical form of a payload."""
    return rfc8785.dumps(normalise(dict(payload)))


def fold(token: str) -> str:
    """Case-fold a token of letters that Unicode 14 knows."""
    return token.casefold()


def united(tokens: Iterable[str]) -> list[str]:
    """Return tokens by code point, without those that only differ in case from an earlier one."""
    kept: list[str] = []
    for token in sorted(tokens):
        if fold(token) not in map(fold, kept):
            kept.append(token)
    return kept


def constraints_object(constraints: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the normalised constraints of a template."""
    normal = normalise(dict(constraints or {}))
    tokens = united(strip(token) for token in normal.pop("FORBIDDEN_TOKENS", None) or [])
    for key in (*LEAST, "NO_EMOJI"):
        if normal.get(key) is None or normal[key] is False:
            normal.pop(key, None)
    return {**normal, "FORBIDDEN_TOKENS": tokens} if tokens else normal


def effective_constraints(parts: Iterable[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return the constraints of a bundle whose templates have these."""
    objects = [constraints_object(part) for part in parts]
    merged: dict[str, Any] = {}
    tokens = united(token for each in objects for token in each.get("FORBIDDEN_TOKENS", []))
    if tokens:
        merged["FORBIDDEN_TOKENS"] = tokens
    if any("NO_EMOJI" in each for each in objects):
        merged["NO_EMOJI"] = True
    for key in LEAST:
        values = [each[key] for each in objects if key in each]
        if values:
            merged[key] = min(values)
    return merged


def template_bytes(template: Mapping[str, Any]) -> bytes:
    """Return the bytes that a template's definition_hash is of."""
    return rfc8785.dumps(
        {
            "format": "pecia.template-definition.v1",
            "template_id": template["template_id"],
            "semver": template["semver"],
            "role": template["role"],
            "content": content_of(template),
            "constraints": constraints_object(template.get("constraints")),
            "adapter_version": normalise(template.get("adapter_version", "")),
            "description": normalise(template.get("description", "")),
        }
    )


def bundle_bytes(bundle: Mapping[str, Any]) -> bytes:
    """Return the bytes that a bundle's definition_hash is of."""
    return rfc8785.dumps(
        {
            "format": "pecia.bundle-definition.v1",
            "bundle_id": bundle["bundle_id"],
            "semver": bundle["semver"],
            "slots": bundle["slots"],
            "tags": [strip(normalise(tag)) for tag in bundle.get("tags", [])],
            "description": normalise(bundle.get("description", "")),
        }
    )


def in_slots(bundle: Mapping[str, Any], templates: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the four templates of a bundle by slot, in the order of assembly."""
    found = {(template["template_id"], template["semver"]): template for template in templates}
    refs = {slot: bundle["slots"][slot] for slot in SLOTS}
    return {slot: found[ref["template_id"], ref["semver"]] for slot, ref in refs.items()}


def bundle_identity_bytes(bundle: Mapping[str, Any], templates: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the bytes that a bundle_hash is of."""
    return rfc8785.dumps(
        {
            "format": "pecia.bundle.v1",
            "bundle_id": bundle["bundle_id"],
            "semver": bundle["semver"],
            "slots": {
                slot: {
                    "template_id": template["template_id"],
                    "semver": template["semver"],
                    "role": template["role"],
                    "content_hash": sha256(content_of(template).encode()),
                    "constraints_hash": sha256(
                        rfc8785.dumps(constraints_object(template.get("constraints")))
                    ),
                }
                for slot, template in in_slots(bundle, templates).items()
            },
        }
    )


def render_texts(
    bundle: Mapping[str, Any], templates: Iterable[Mapping[str, Any]], payload: Mapping[str, Any]
) -> list[str]:
    """Return the text of each part; raises KeyError for a path that the payload lacks."""
    chosen = in_slots(bundle, templates)
    values = normalise(dict(payload))
    values["constraints"] = effective_constraints(each.get("constraints") for each in chosen.values())
    return [_fill(content_of(template), values) for template in chosen.values()]


def _fill(content: str, values: Mapping[str, Any]) -> str:
    result, position = "", 0
    while opening := _OPENING.search(content, position):
        backslashes = len(opening[1])
        result += content[position : opening.start()] + "\\" * (backslashes // 2)
        position = opening.end()
        if backslashes % 2:
            result += "{{"
            continue
        placeholder = _PLACEHOLDER.match(content, position - 2)
        assert placeholder is not None
        result += _value(placeholder, values)
        position = placeholder.end()
    return result + content[position:]


def _value(placeholder: re.Match[str], values: Mapping[str, Any]) -> str:
    as_json, path, default = placeholder.groups()
    value: Any = values
    try:
        for key in path.split("."):
            if not isinstance(value, dict):
                raise KeyError(key)
            value = value[key]
    except KeyError:
        if default is None:
            raise
        value = normalise(json.loads(default))
    return value if isinstance(value, str) and not as_json else rfc8785.dumps(value).decode()

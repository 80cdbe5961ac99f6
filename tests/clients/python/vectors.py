"""Read the golden vectors, and compute their canonical forms and hashes without the server."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import rfc8785
import unicodedata2

SLOTS: Final = ("system", "personality", "activity", "task")

Json = Any
"""What a JSON text says; its numbers are doubles."""


class Vectors:
    """The files of a folder, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, file: str, section: str) -> Sequence[Mapping[str, Json]]:
        """Return the vectors of one list of a file."""
        vectors: Sequence[Mapping[str, Json]] = read_json((self._folder / f"{file}.json").read_text("ascii"))[
            section
        ]
        return vectors

    def render_input(self, name: str) -> Mapping[str, Json]:
        """Return the input of a vector of `renders.json`."""
        inputs = {vector["name"]: vector["input"] for vector in self.read("renders", "renders")}
        given: Mapping[str, Json] = inputs[name]
        return given


def read_json(text: str) -> Json:
    """Read a JSON text; every number is a double, as it is in RFC 8785."""
    return json.loads(text, parse_int=float)


def canonical(value: Json) -> bytes:
    """Return the RFC 8785 form of a value."""
    return rfc8785.dumps(value)


def sha256(data: bytes) -> str:
    """Return the lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def normalise(value: Json) -> Json:
    """Return a value with every string in it, keys too, in the normal form of Pecia."""
    if isinstance(value, str):
        text = value.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        return unicodedata2.normalize("NFC", text)
    if isinstance(value, dict):
        return {normalise(key): normalise(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normalise(item) for item in value]
    return value


def payload_canonical(payload: Mapping[str, Json]) -> bytes:
    """Return the bytes that `payload_hash` is of."""
    return canonical(normalise(dict(payload)))


def payload_hash(payload: Mapping[str, Json]) -> str:
    """Return what a receipt must say of a payload."""
    return sha256(payload_canonical(payload))


def content_hash(template: Mapping[str, Json]) -> str:
    """Return the hash of a template's content."""
    return sha256(_content(template).encode())


def template_definition_hash(template: Mapping[str, Json]) -> str:
    """Return the `definition_hash` of a template without constraints, by template.proto."""
    return sha256(
        canonical(
            {
                "adapter_version": "",
                "constraints": {},
                "content": _content(template),
                "description": "",
                "format": "pecia.template-definition.v1",
                "role": template["role"],
                "semver": template["semver"],
                "template_id": template["template_id"],
            }
        )
    )


def bundle_definition_hash(bundle: Mapping[str, Json]) -> str:
    """Return the `definition_hash` of a bundle without tags and description, by bundle.proto."""
    return sha256(
        canonical(
            {
                "bundle_id": bundle["bundle_id"],
                "description": "",
                "format": "pecia.bundle-definition.v1",
                "semver": bundle["semver"],
                "slots": bundle["slots"],
                "tags": [],
            }
        )
    )


def bundle_hash(bundle: Mapping[str, Json], templates: Mapping[str, Mapping[str, Json]]) -> str:
    """Return the `bundle_hash` of a bundle whose templates, by slot, have no constraints, by bundle.proto."""
    slots = {
        slot: {
            **bundle["slots"][slot],
            "role": template["role"],
            "content_hash": content_hash(template),
            "constraints_hash": sha256(b"{}"),
        }
        for slot, template in templates.items()
    }
    return sha256(
        canonical(
            {
                "bundle_id": bundle["bundle_id"],
                "format": "pecia.bundle.v1",
                "semver": bundle["semver"],
                "slots": slots,
            }
        )
    )


def _content(template: Mapping[str, Json]) -> str:
    text: str = normalise(template["content"])
    return text.rstrip("\n")

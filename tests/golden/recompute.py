"""What the service makes of the input of each golden vector. Imports the pure core only."""

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import orjson
from pecia_service.canonical import JsonValue, canonical_json, casefold, normalise_text, sha256_hex
from pecia_service.errors import Error
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model import Bundle, Template
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.renderer import Renderer
from support.definitions import create_payload, define_bundle, define_template, resolve

Input: TypeAlias = Any
Expected: TypeAlias = dict[str, Any]


def text(given: Input) -> Expected:
    """Normalise a text; beside it its case folding, by which forbidden tokens are compared."""
    normal = normalise_text(given, "text")
    return {"normalised": normal, "utf8_sha256": sha256_hex(normal.encode()), "case_folded": casefold(normal)}


def json_text(given: Input) -> Expected:
    """Write a JSON value, given as JSON text, in canonical form."""
    return _canonical(orjson.loads(given))


def number(given: Input) -> Expected:
    """Write a double, given as its 16 hexadecimal digits of IEEE 754, big-endian."""
    (value,) = struct.unpack(">d", bytes.fromhex(given))
    return {"canonical": canonical_json(value).decode()}


def payload(given: Input) -> Expected:
    """Make a payload of its four fields."""
    made = create_payload(given)
    return {"canonical": made.canonical.decode(), "payload_hash": made.payload_hash}


def constraints(given: Input) -> Expected:
    """Normalise the constraints of one template."""
    made = Constraints.normalise(given)
    return {"canonical": made.canonical.decode(), "constraints_hash": made.constraints_hash}


def effective_constraints(given: Input) -> Expected:
    """Merge the constraints of several templates."""
    merged = Constraints.merge(Constraints.normalise(part) for part in given)
    return {"canonical": merged.canonical.decode()}


def template(given: Input) -> Expected:
    """Define a template."""
    made = define_template(given)
    definition = canonical_json(_template_definition(made)).decode()
    return {
        "content": made.content,
        "content_hash": made.content_hash,
        "constraints": made.constraints.canonical.decode(),
        "constraints_hash": made.constraints_hash,
        "definition": definition,
        "definition_hash": made.definition_hash,
    }


def bundle(given: Input) -> Expected:
    """Define a bundle and its templates."""
    made = define_bundle(given["bundle"])
    resolved = resolve(made, [define_template(each) for each in given["templates"]])
    return {
        "definition": canonical_json(_bundle_definition(made)).decode(),
        "definition_hash": made.definition_hash,
        "bundle": canonical_json(_bundle_identity(resolved)).decode(),
        "bundle_hash": resolved.bundle_hash,
    }


def render(given: Input) -> Expected:
    """Render a bundle for a payload."""
    templates = [define_template(each) for each in given["templates"]]
    resolved = resolve(define_bundle(given["bundle"]), templates)
    renderer = Renderer(given["max_prompt_bytes"]) if "max_prompt_bytes" in given else Renderer()
    result = renderer.render(resolved, create_payload(given["payload"]))
    return {
        "prompt": result.prompt,
        "prompt_hash": result.prompt_hash,
        "parts": [
            {"slot": part.slot.value, "role": part.role.value, "text": part.text} for part in result.parts
        ],
        "constraints": resolved.constraints.canonical.decode(),
        "bundle_hash": result.bundle_hash,
        "payload_hash": result.payload_hash,
        "renderer_version": result.renderer_version,
    }


SECTIONS: Final[Mapping[str, Mapping[str, Callable[[Input], Expected]]]] = {
    "text": {"texts": text},
    "canonical_json": {"values": json_text, "numbers": number},
    "payloads": {"payloads": payload},
    "constraints": {"constraints": constraints, "effective": effective_constraints},
    "templates": {"templates": template},
    "bundles": {"bundles": bundle},
    "renders": {"renders": render},
}
"""For each file of vectors its lists, and what makes the expected part of their vectors."""


def outcome(compute: Callable[[Input], Expected], given: Input) -> Expected:
    """Return what an input gives, or the error that it is refused with."""
    try:
        return {"expected": compute(given)}
    except Error as error:
        return {"error": {"reason": error.reason.name, "metadata": error.metadata}}


def _canonical(value: JsonValue) -> Expected:
    written = canonical_json(value)
    return {"canonical": written.decode(), "sha256": sha256_hex(written)}


def _template_definition(made: Template) -> JsonValue:
    return {
        "adapter_version": made.adapter_version,
        "constraints": made.constraints.to_json(),
        "content": made.content,
        "description": made.description,
        "format": "pecia.template-definition.v1",
        "role": made.role.value,
        "semver": made.semver,
        "template_id": made.template_id,
    }


def _bundle_definition(made: Bundle) -> JsonValue:
    return {
        "bundle_id": made.bundle_id,
        "description": made.description,
        "format": "pecia.bundle-definition.v1",
        "semver": made.semver,
        "slots": {
            slot.value: {"semver": ref.semver, "template_id": ref.template_id}
            for slot, ref in made.slots.items()
        },
        "tags": list(made.tags),
    }


def _bundle_identity(resolved: ResolvedBundle) -> JsonValue:
    return {
        "bundle_id": resolved.bundle.bundle_id,
        "format": "pecia.bundle.v1",
        "semver": resolved.bundle.semver,
        "slots": {
            slot.value: {
                "constraints_hash": each.constraints_hash,
                "content_hash": each.content_hash,
                "role": each.role.value,
                "semver": each.semver,
                "template_id": each.template_id,
            }
            for slot, each in resolved.templates.items()
        },
    }

"""The bundles and payloads that are rendered, and what must come out, computed without the service's code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from golden import reference
from pecia.v1.bundle_pb2 import BundleDefinition, BundleRef
from pecia.v1.payload_pb2 import DerivedPayload
from pecia.v1.template_pb2 import TemplateDefinition
from pecia_client import bundle_definition, payload_from_mapping, template_definition

FOLDER: Final = Path(__file__).resolve().parent
NAMES: Final = ("minimal", "short", "medium")
LABEL: Final = "load"
VERSION: Final = "1.0.0"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a right answer says, as lower-case hex SHA-256."""

    prompt_hash: str
    payload_hash: str
    bundle_hash: str


@dataclass(frozen=True, slots=True)
class Work:
    """One render: what is asked, and what must be answered."""

    bundle_id: str
    payload: DerivedPayload
    expected: Expected

    def bundle(self, *, by_label: bool) -> BundleRef:
        """Name the bundle by its version or by the label."""
        if by_label:
            return BundleRef(bundle_id=self.bundle_id, label=LABEL)
        return BundleRef(bundle_id=self.bundle_id, semver=VERSION)


class Profile:
    """A bundle, its four templates and its `payloads`, and copies of it under other ids."""

    def __init__(self, bundle: Document, templates: list[Document], payloads: list[Document]) -> None:
        self._bundle = bundle
        self._templates = templates
        self.payloads = payloads

    @classmethod
    def read(cls, name: str) -> Profile:
        """Read one of `NAMES`; raises FileNotFoundError for any other."""
        definitions = FOLDER / "definitions"
        bundle_id = f"load-{name}"
        text = (definitions / "bundles" / bundle_id / VERSION / "bundle.yaml").read_text(encoding="utf-8")
        bundle = {"bundle_id": bundle_id, "semver": VERSION, **yaml.safe_load(text)}
        bundle["slots"] = {slot: _reference(ref) for slot, ref in bundle["slots"].items()}
        templates = [_template(definitions, ref) for ref in bundle["slots"].values()]
        payloads = json.loads((FOLDER / "payloads" / f"{name}.json").read_text(encoding="utf-8"))
        return cls(bundle, templates, payloads)

    def copy(self, number: int) -> tuple[Document, list[Document]]:
        """Return the bundle and its templates; every number but 0 has ids of its own, with the same texts."""
        if number == 0:
            return self._bundle, self._templates
        slots = {
            slot: {**ref, "template_id": f"{ref['template_id']}-{number}"}
            for slot, ref in self._bundle["slots"].items()
        }
        return (
            {**self._bundle, "bundle_id": f"{self._bundle['bundle_id']}-{number}", "slots": slots},
            [
                {**template, "template_id": f"{template['template_id']}-{number}"}
                for template in self._templates
            ],
        )

    def messages(self, number: int) -> tuple[BundleDefinition, list[TemplateDefinition]]:
        """Return a copy as what is published."""
        bundle, templates = self.copy(number)
        slots = {slot: f"{ref['template_id']}@{ref['semver']}" for slot, ref in bundle["slots"].items()}
        return (
            bundle_definition(
                bundle["bundle_id"],
                bundle["semver"],
                slots,
                tags=bundle["tags"],
                description=bundle["description"],
            ),
            [template_definition(**template) for template in templates],
        )

    def work(self, bundles: int) -> list[Work]:
        """Return the renders that are asked in turn: every copy and every payload at least once."""
        texts = [reference.render_texts(self._bundle, self._templates, payload) for payload in self.payloads]
        prompts = [reference.sha256("\n\n".join(parts).encode()) for parts in texts]
        hashes = [reference.sha256(reference.payload_bytes(payload)) for payload in self.payloads]
        payloads = [payload_from_mapping(payload) for payload in self.payloads]
        copies = [self.copy(number) for number in range(bundles)]
        identities = [
            reference.sha256(reference.bundle_identity_bytes(bundle, templates))
            for bundle, templates in copies
        ]
        return [
            Work(
                copies[number % bundles][0]["bundle_id"],
                payloads[number % len(payloads)],
                Expected(
                    prompts[number % len(payloads)],
                    hashes[number % len(payloads)],
                    identities[number % bundles],
                ),
            )
            for number in range(max(bundles, len(payloads)))
        ]


def _reference(text: str) -> dict[str, str]:
    template_id, _, semver = text.partition("@")
    return {"template_id": template_id, "semver": semver}


def _template(definitions: Path, ref: Mapping[str, str]) -> Document:
    path = definitions / "templates" / ref["template_id"] / f"{ref['semver']}.md"
    _, head, content = path.read_text(encoding="utf-8").split("---\n", 2)
    return {
        "template_id": ref["template_id"],
        "semver": ref["semver"],
        "content": content,
        **yaml.safe_load(head),
    }

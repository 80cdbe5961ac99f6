"""Pieces as a directory of files, the way an author keeps them in git."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_template(root: Path, definition: Mapping[str, Any]) -> None:
    """Write a template's definition, not normalised, as `templates/ID/VERSION.md`."""
    head = {
        key: value for key, value in definition.items() if key not in ("template_id", "semver", "content")
    }
    path = root / "templates" / definition["template_id"] / f"{definition['semver']}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Bytes, so that no platform changes a line end of the content.
    path.write_bytes(f"---\n{_yaml(head)}---\n{definition['content']}".encode())


def write_bundle(root: Path, definition: Mapping[str, Any]) -> None:
    """Write a bundle's definition, not normalised, as `bundles/ID/VERSION/bundle.yaml`."""
    head = {key: value for key, value in definition.items() if key not in ("bundle_id", "semver", "slots")}
    slots = {slot: f"{ref['template_id']}@{ref['semver']}" for slot, ref in definition["slots"].items()}
    path = root / "bundles" / definition["bundle_id"] / definition["semver"] / "bundle.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_yaml({"slots": slots, **head}).encode())


def _yaml(value: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False)
    return text

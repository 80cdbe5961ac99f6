"""The files of deploy/: read strictly, and rendered as kustomize does."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import jsonpatch
import yaml
from support.checkout import ROOT, repository_files

DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"

Document = dict[str, Any]
"""A YAML document, such as a Kubernetes object."""


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that a mapping has already, which YAML forbids and PyYAML lets pass."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated or "<<" in keys:
            place = f"{node.start_mark.name}:{node.start_mark.line + 1}"
            raise ValueError(f"{place}: repeated or merged keys: {sorted(repeated | ({'<<'} & set(keys)))}")
        return super().construct_mapping(node, deep)


def deployment_files() -> list[Path]:
    """Return the files of deploy/, relative to the root."""
    return [path for path in repository_files() if path.parts[0] == "deploy"]


def read_yaml(path: Path) -> list[Document]:
    """Read the documents of a file; raises ValueError for a repeated key."""
    with path.open(encoding="utf-8") as file:
        return list(yaml.load_all(file, _StrictLoader))


def kustomized(folder: Path) -> list[Document]:
    """Render a kustomization: its resources, with its patches (RFC 6902 only) and images.

    Raises ValueError for a field of the kustomization that this does not know.
    """
    (kustomization,) = read_yaml(folder / "kustomization.yaml")
    unknown = set(kustomization) - {"apiVersion", "kind", "resources", "patches", "images"}
    if unknown:
        raise ValueError(f"{folder.name}: {sorted(unknown)} is not known here")
    documents: list[Document] = []
    for name in kustomization["resources"]:
        path = folder / name
        documents += kustomized(path.resolve()) if path.is_dir() else read_yaml(path)
    for patch in kustomization.get("patches", []):
        changes = yaml.load(patch["patch"], _StrictLoader)
        targets = [document for document in documents if _is_target(document, patch["target"])]
        if not targets:
            raise ValueError(f"{folder.name}: nothing is {patch['target']}")
        for document in targets:
            jsonpatch.apply_patch(document, changes, in_place=True)
    for image in kustomization.get("images", []):
        for container in (found for document in documents for found in containers(document)):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return documents


def _is_target(document: Document, target: dict[str, str]) -> bool:
    return document["kind"] == target["kind"] and target.get("name") in {None, document["metadata"]["name"]}


def one(documents: list[Document], kind: str) -> Document:
    """Return the only object of a kind."""
    (document,) = [document for document in documents if document["kind"] == kind]
    return document


def pod_of(document: Document) -> Document:
    """Return the pod specification of an object, or an empty one."""
    spec: Document = document.get("spec", {}).get("template", {}).get("spec", {})
    return spec


def containers(document: Document) -> list[Document]:
    """Return the containers of an object."""
    found: list[Document] = pod_of(document).get("containers", [])
    return found


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a container file, as name and arguments, continuation lines joined."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def unit_settings(path: Path) -> list[tuple[str, str, str]]:
    """Return the assignments of a systemd unit: section, name, value."""
    section, found = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.append((section, name, value))
    return found


def environment_file(path: Path, *, whole: bool = False) -> dict[str, str]:
    """Read a file of NAME=VALUE lines; `whole` also takes those that are commented out."""
    text = path.read_text(encoding="utf-8")
    pattern = r"^#?([A-Z_]+)=(.*)$" if whole else r"^([A-Z_]+)=(.*)$"
    return dict(re.findall(pattern, text, re.MULTILINE))

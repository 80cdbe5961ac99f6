"""Read references as people write them: `companion@1.2.0`, `companion@production`."""

from __future__ import annotations

import re

from pecia.v1.bundle_pb2 import BundleRef
from pecia.v1.template_pb2 import TemplateRef

# The expression that semver.org suggests for SemVer 2.0, with digits held to ASCII.
_SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)
# A label never looks like a version, so that nobody takes one for the other.
_LABEL = re.compile(r"(?![vV][0-9])[A-Za-z][A-Za-z0-9._-]{0,62}", re.ASCII)


def parse_bundle_ref(text: str) -> BundleRef:
    """Read `ID@VERSION` or `ID@LABEL`.

    Raises:
        ValueError: There is not exactly one `@` with something on both sides, or what follows it is neither a
            strict SemVer 2.0 version nor of the form of a label.

    """
    bundle_id, selector = _split(text, "ID@VERSION or ID@LABEL, for example companion@1.2.0")
    if _SEMVER.fullmatch(selector):
        return BundleRef(bundle_id=bundle_id, semver=selector)
    if not _LABEL.fullmatch(selector):
        raise ValueError(
            f"{selector!r} is neither a version (MAJOR.MINOR.PATCH) nor a label "
            "(a letter, then letters, digits, '.', '_' and '-', and not shaped like a version); "
            f"write for example {bundle_id}@1.2.0 or {bundle_id}@production"
        )
    return BundleRef(bundle_id=bundle_id, label=selector)


def parse_template_ref(text: str) -> TemplateRef:
    """Read `ID@VERSION`.

    Raises:
        ValueError: There is not exactly one `@` with something on both sides.

    """
    template_id, semver = _split(text, "ID@VERSION, for example companion-system@1.0.0")
    return TemplateRef(template_id=template_id, semver=semver)


def _split(text: str, wanted: str) -> tuple[str, str]:
    before, at, after = text.partition("@")
    if not (before and at and after) or "@" in after:
        raise ValueError(f"{text!r} is not a reference: write {wanted}")
    return before, after

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


def parse_bundle_ref(text: str) -> BundleRef:
    """Read `ID@VERSION` or `ID@LABEL`; what is strict SemVer 2.0 is a version, all else a label.

    Raises:
        ValueError: There is not exactly one `@` with something on both sides.

    """
    bundle_id, selector = _split(text, "ID@VERSION or ID@LABEL, for example companion@1.2.0")
    if _SEMVER.fullmatch(selector):
        return BundleRef(bundle_id=bundle_id, semver=selector)
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

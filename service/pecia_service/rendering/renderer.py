"""The renderer: fill placeholders, join the four parts once, hash. Pure."""

from __future__ import annotations

from collections import Counter

from pecia_service.canonical import JsonValue, canonical_json, sha256_hex
from pecia_service.errors import ErrorReason, PreconditionError
from pecia_service.registry.model import Slot, Template
from pecia_service.registry.placeholders import Literal, Placeholder
from pecia_service.rendering.model import PromptPart, RenderResult, ResolvedBundle
from pecia_service.rendering.payload import Payload

RENDERER_VERSION = "1"
"""Changes only when the same input would give another output."""

DEFAULT_MAX_PROMPT_BYTES = 3 * 1024 * 1024
SEPARATOR = "\n\n"

_MAX_UTF8_BYTES = 4


class Renderer:
    """Renders resolved bundles; `max_prompt_bytes` bounds a prompt's UTF-8."""

    def __init__(self, max_prompt_bytes: int = DEFAULT_MAX_PROMPT_BYTES) -> None:
        self._max_prompt_bytes = max_prompt_bytes

    def render(self, resolved: ResolvedBundle, payload: Payload) -> RenderResult:
        """Make the prompt of a bundle for a payload.

        Raises PreconditionError: PLACEHOLDER_UNRESOLVED for a path that the payload lacks, PROMPT_TOO_LARGE
        before anything is joined.
        """
        values = _Values(payload)
        fragments = [
            self._fill(slot, template, resolved, values) for slot, template in resolved.templates.items()
        ]
        self._check_size(fragments)
        texts = ["".join(fragment) for fragment in fragments]
        prompt = SEPARATOR.join(texts)
        return RenderResult(
            prompt,
            tuple(
                PromptPart(slot, template.role, text)
                for (slot, template), text in zip(resolved.templates.items(), texts, strict=True)
            ),
            sha256_hex(prompt.encode()),
            payload.payload_hash,
            resolved,
            RENDERER_VERSION,
        )

    def _fill(self, slot: Slot, template: Template, resolved: ResolvedBundle, values: _Values) -> list[str]:
        fragments: list[str] = []
        for segment in template.segments:
            if isinstance(segment, Literal):
                fragments.append(segment.text)
            elif segment.path[0] == "constraints":
                fragments.append(resolved.constraints_text)
            else:
                fragments.append(values.insert(segment, slot, template))
        return fragments

    def _check_size(self, fragments: list[list[str]]) -> None:
        """Count characters first: most prompts are too small to be too large in any encoding."""
        separators = len(SEPARATOR) * (len(fragments) - 1)
        characters = separators + sum(len(text) for fragment in fragments for text in fragment)
        if characters * _MAX_UTF8_BYTES <= self._max_prompt_bytes:
            return
        # A text that is inserted a thousand times is encoded once.
        counts = Counter(text for fragment in fragments for text in fragment)
        size = separators + sum(len(text.encode()) * count for text, count in counts.items())
        if size > self._max_prompt_bytes:
            raise PreconditionError(
                ErrorReason.PROMPT_TOO_LARGE,
                f"the prompt would have {size} bytes; at most {self._max_prompt_bytes} are allowed",
                metadata={"size": str(size), "limit": str(self._max_prompt_bytes)},
            )


class _Values:
    """What one payload inserts; each path is written once, however often templates read it."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self._written: dict[tuple[tuple[str, ...], bool], str] = {}

    def insert(self, placeholder: Placeholder, slot: Slot, template: Template) -> str:
        """Return what a placeholder inserts; raises PreconditionError (PLACEHOLDER_UNRESOLVED)."""
        key = (placeholder.path, placeholder.as_json)
        written = self._written.get(key)
        if written is not None:
            return written
        try:
            value = self._payload.find(placeholder.path)
        except KeyError:
            if placeholder.default is None:
                raise _unresolved(placeholder, slot, template) from None
            return placeholder.default
        self._written[key] = text = _insert(value, as_json=placeholder.as_json)
        return text


def _insert(value: JsonValue, *, as_json: bool) -> str:
    """Return text as it is and anything else as canonical JSON; `as_json` makes text JSON too."""
    if isinstance(value, str) and not as_json:
        return value
    return canonical_json(value).decode()


def _unresolved(placeholder: Placeholder, slot: Slot, template: Template) -> PreconditionError:
    return PreconditionError(
        ErrorReason.PLACEHOLDER_UNRESOLVED,
        f"slot {slot.value}: template {template.ref} needs {placeholder.dotted}, which the payload lacks; "
        "add it, or give the placeholder a default",
        metadata={
            "slot": slot.value,
            "template_id": template.template_id,
            "semver": template.semver,
            "path": placeholder.dotted,
        },
    )

"""The renderer: fill placeholders, join the four parts once, hash. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pecia_service.canonical import canonical_json, sha256_hex
from pecia_service.errors import ErrorReason, PreconditionError
from pecia_service.rendering.model import RenderResult, ResolvedBundle
from pecia_service.rendering.payload import MISSING, Payload
from pecia_service.rendering.plan import Insertion, Plan

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
        plan = resolved.plan
        values = _insert_all(plan, payload)
        self._check_size(plan, values)
        texts = (*plan.texts, *values)
        parts = tuple(["".join(pick(texts)) for pick in plan.parts])
        prompt = SEPARATOR.join(parts)
        return RenderResult(
            prompt, parts, sha256_hex(prompt.encode()), payload.payload_hash, resolved, RENDERER_VERSION
        )

    def _check_size(self, plan: Plan, values: Sequence[str]) -> None:
        """Count characters first: most prompts are too small to be too large in any encoding."""
        separators = len(SEPARATOR) * (len(plan.parts) - 1)
        characters = separators + plan.characters
        for insertion, value in zip(plan.insertions, values, strict=True):
            characters += len(value) * insertion.count
        if characters * _MAX_UTF8_BYTES <= self._max_prompt_bytes:
            return
        # A text that is inserted a thousand times is encoded once.
        size = separators + plan.fixed_bytes()
        for insertion, value in zip(plan.insertions, values, strict=True):
            size += len(value.encode()) * insertion.count
        if size > self._max_prompt_bytes:
            raise PreconditionError(
                ErrorReason.PROMPT_TOO_LARGE,
                f"the prompt would have {size} bytes; at most {self._max_prompt_bytes} are allowed",
                metadata={"size": str(size), "limit": str(self._max_prompt_bytes)},
            )


def _insert_all(plan: Plan, payload: Payload) -> list[str]:
    """Return what each placeholder inserts; raises PreconditionError (PLACEHOLDER_UNRESOLVED).

    Each path is written once, however often templates read it.
    """
    written: list[str | None] = []
    for path, as_json in plan.reads:
        value = payload.find(path)
        if value is MISSING:
            written.append(None)
        # Text is inserted as it is, unless it is to be JSON as everything else is.
        elif isinstance(value, str) and not as_json:
            written.append(value)
        else:
            written.append(canonical_json(value).decode())
    values = []
    for insertion in plan.insertions:
        text = written[insertion.read]
        if text is None:
            text = insertion.placeholder.default
            if text is None:
                raise _unresolved(insertion)
        values.append(text)
    return values


def _unresolved(insertion: Insertion) -> PreconditionError:
    slot, template, path = insertion.slot, insertion.template, insertion.placeholder.dotted
    return PreconditionError(
        ErrorReason.PLACEHOLDER_UNRESOLVED,
        f"slot {slot.value}: template {template.ref} needs {path}, which the payload lacks; "
        "add it, or give the placeholder a default",
        metadata={
            "slot": slot.value,
            "template_id": template.template_id,
            "semver": template.semver,
            "path": path,
        },
    )

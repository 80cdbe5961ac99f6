"""Render proved pieces with the server's renderer, and answer in the contract's terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from pecia.v1.bundle_pb2 import InlineBundle
from pecia.v1.payload_pb2 import DerivedPayload
from pecia.v1.receipt_pb2 import PromptPart
from pecia_service.errors import Error
from pecia_service.rendering.generator import RenderOptions, resolve_inline
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.renderer import DEFAULT_MAX_PROMPT_BYTES, Renderer
from pecia_service.server.convert.pieces import (
    ROLE_TO_PROTO,
    SLOT_TO_PROTO,
    inline_bundle_from_proto,
    payload_from_proto,
)

from pecia_client.errors import PeciaError
from pecia_client.payload import payload_from_mapping


@dataclass(frozen=True, slots=True)
class OfflineRender:
    """A prompt that was rendered in this process, and its hashes. It is no receipt: nothing was recorded.

    The server's Render gives the same prompt, parts and hashes for the same bundle version and payload.
    To replay a prompt, or to prove that it was made, render it on the server.

    Attributes:
        prompt: The prompt.
        parts: What each slot gave, in assembly order.
        prompt_hash: SHA-256 of the prompt's UTF-8, lower-case hex.
        payload_hash: SHA-256 of the normalised payload's canonical form.
        bundle_hash: The identity of what was rendered.
        bundle_id: The bundle.
        semver: Its exact version, also when a label was named.
        renderer_version: The renderer of this process. A server whose receipts name another one may render
            otherwise: then update this package.

    """

    prompt: str
    parts: tuple[PromptPart, ...]
    prompt_hash: str
    payload_hash: str
    bundle_hash: str
    bundle_id: str
    semver: str
    renderer_version: str


@dataclass(frozen=True, slots=True)
class RenderJob:
    """What is to be rendered, checked as the server checks it; make it with `checked`."""

    payload: Payload
    options: RenderOptions

    @classmethod
    def checked(cls, payload: Mapping[str, object] | DerivedPayload, model_type: str) -> RenderJob:
        """Check a payload and a model type; raises PeciaError, or ValueError as `payload_from_mapping`."""
        message = payload if isinstance(payload, DerivedPayload) else payload_from_mapping(payload)
        with pecia_errors():
            options = RenderOptions.checked(model_type, "", validate_only=True)
            return cls(payload_from_proto(message), options)

    def run(self, resolved: ResolvedBundle, renderer: Renderer) -> OfflineRender:
        """Render; raises PeciaError with the reasons of Render."""
        with pecia_errors():
            self.options.check_model(resolved.bundle)
            result = renderer.render(resolved, self.payload)
        return OfflineRender(
            result.prompt,
            tuple(
                PromptPart(slot=SLOT_TO_PROTO[part.slot], role=ROLE_TO_PROTO[part.role], text=part.text)
                for part in result.parts
            ),
            result.prompt_hash,
            result.payload_hash,
            result.bundle_hash,
            resolved.bundle.bundle_id,
            resolved.bundle.semver,
            result.renderer_version,
        )


def render_inline(
    inline_bundle: InlineBundle,
    *,
    payload: Mapping[str, object] | DerivedPayload,
    model_type: str = "",
    max_prompt_bytes: int = DEFAULT_MAX_PROMPT_BYTES,
) -> OfflineRender:
    """Render a bundle that is at hand with its templates; no server is asked, and nothing is recorded.

    Args:
        inline_bundle: The bundle with its templates (see `pecia_client.inline_bundle`).
        payload: The four payload fields.
        model_type: Refused unless among the bundle's tags; empty means no check.
        max_prompt_bytes: The largest prompt, in bytes of UTF-8; the default is the server's default.

    Raises:
        PeciaError: What Render refuses: bad pieces, a bad payload, a path that it lacks, too large a prompt.
        ValueError: The payload cannot be carried exactly (see `payload_from_mapping`).

    """
    job = RenderJob.checked(payload, model_type)
    with pecia_errors():
        resolved = resolve_inline(*inline_bundle_from_proto(inline_bundle, "inline_bundle"))
    return job.run(resolved, Renderer(max_prompt_bytes))


@contextmanager
def pecia_errors() -> Iterator[None]:
    """Raise the domain's errors as a call to the server would."""
    try:
        yield
    except Error as error:
        raise PeciaError(
            grpc.StatusCode[error.kind.name],
            error.message,
            reason=error.reason.name,
            metadata=error.metadata,
            violations=[(violation.field, violation.description) for violation in error.violations],
            retry_after=error.retry_after,
        ) from error

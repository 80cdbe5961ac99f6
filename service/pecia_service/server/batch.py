"""What the renders of one RenderBatch share."""

from __future__ import annotations

from typing import Final

from pecia.v1 import bundle_pb2
from pecia.v1 import prompt_service_pb2 as pb

from pecia_service.errors import ErrorReason, invalid_field
from pecia_service.rendering.generator import Rendered
from pecia_service.server.convert.outcomes import MAX_ERROR_BYTES, rendered_to_proto

# What a message needs around its outcomes: tags and lengths.
_FRAME_BYTES: Final = 16
# More than a response has beside the prompt and its parts.
_RECEIPT_BYTES: Final = 8_192
# The most bytes of UTF-8 that a character of a prompt takes in a response: in the prompt, and in its part.
_CHARACTER_BYTES: Final = 8


class Batch:
    """The bytes that are left for prompts in one response, and the versions that labels point to.

    Requests of a batch that name one label get one version: it was read after all of them came. Only its
    number is kept: its texts stay where they are bounded, and forgotten when they are erased. A label that
    gives no version is read for each request.
    """

    def __init__(self, max_bytes: int, outcomes: int) -> None:
        self._versions: dict[tuple[str, str], str] = {}
        self._max_bytes = max_bytes
        # Every outcome may be an error: what is left beside those is for prompts.
        self._left = max_bytes - outcomes * MAX_ERROR_BYTES

    def version(self, label: bundle_pb2.BundleRef) -> str | None:
        """Return the version that a label of a bundle pointed to, if that was noted."""
        return self._versions.get((label.bundle_id, label.label))

    def note(self, label: bundle_pb2.BundleRef, semver: str) -> None:
        """Note the version that a label of a bundle points to."""
        self._versions[label.bundle_id, label.label] = semver

    def check(self, rendered: Rendered) -> None:
        """Raise InvalidInputError (SIZE_EXCEEDED) for a prompt whose response has no room.

        A message keeps the memory of what was written into it, also when it is replaced by an error: what
        may be too large is measured apart.
        """
        if _CHARACTER_BYTES * len(rendered.prompt) + _RECEIPT_BYTES > self._left:
            self._measure(rendered_to_proto(rendered))

    def take(self, response: pb.RenderResponse) -> None:
        """Take what a response needs; raises as `check`."""
        self._left -= self._measure(response)

    def _measure(self, response: pb.RenderResponse) -> int:
        size = response.ByteSize() + _FRAME_BYTES
        if size > self._left:
            raise invalid_field(
                ErrorReason.SIZE_EXCEEDED,
                "requests",
                "the prompts are too large for one response; send fewer at once, or use RenderStream",
                size=str(size),
                limit=str(self._max_bytes),
            )
        return size

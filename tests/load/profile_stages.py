"""What each stage of a warm Render takes alone, in this process.

It is timed twice: over and over, when all that it needs is in the processor's caches, and after memory has
been copied, when nothing of it is in the caches that a processor has for itself. In a server it is between
the two.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from load.bench import sample, works
from load.bench.stores import TENANT, bundle_id
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.audit.record import AuditRecord, make_record
from pecia_service.audit.spool import format as fmt
from pecia_service.audit.spool.codec import encode_record
from pecia_service.audit.store import AuditStore
from pecia_service.bootstrap import system_clock, system_ids
from pecia_service.canonical import sha256_hex
from pecia_service.errors import ErrorReason
from pecia_service.rendering.generator import PromptGenerator, Rendered, RenderOptions
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
from pecia_service.server.convert.outcomes import rendered_to_proto
from pecia_service.server.convert.pieces import payload_from_proto
from pecia_service.server.convert.structs import struct_to_json, unknown_field_numbers
from pecia_service.storage.engine import Database
from pecia_service.storage.schema import migrate

_COPIED_BYTES: Final = 4 * 2**20
"""More than the caches hold that a processor has for itself."""

_BATCH: Final = 500
"""As many records as the sink writes in one transaction under load."""


@dataclass(frozen=True)
class Line:
    """One line: microseconds of processor time for each call. A total sums up what is above it.

    `cold` is what a stage takes with cold caches.
    """

    name: str
    microseconds: float
    total: bool = False
    cold: float | None = None


@dataclass(frozen=True)
class Cost:
    """Microseconds that a stage takes: over and over, and with cold caches."""

    warm: float
    cold: float

    def __sub__(self, other: Cost) -> Cost:
        """Leave out another stage that is a part of this one."""
        return Cost(self.warm - other.warm, self.cold - other.cold)


class Stages:
    """The stages of a render, each of which can be run by itself as often as one likes."""

    def __init__(self, *, repeats: int = 15, loops: int = 1_000) -> None:
        """Time each stage as the best of so many repeats of so many loops."""
        self._repeats = repeats
        self._loops = loops
        self._memory = bytearray(_COPIED_BYTES), bytearray(_COPIED_BYTES)
        self._resolved = sample.resolved(bundle_id(0))
        self._raw = works.request(0).SerializeToString()
        self._request = pb.RenderRequest.FromString(self._raw)
        self._payload = payload_from_proto(self._request.payload)
        self._options = RenderOptions.checked("", "", validate_only=False)
        self._renderer = Renderer()
        pieces = self._resolved.templates.values()
        self._generator = PromptGenerator(
            InlineBundleSource([self._resolved.bundle]),
            InlineTemplateSource(list(pieces)),
            self._renderer,
            _NoSink(),
            clock=system_clock,
            new_id=system_ids(),
        )
        self._rendered = self._render()
        self._response = rendered_to_proto(self._rendered)
        self._record = self._make_record(self._rendered)
        self._body = encode_record(self._record)

    def of_render(self) -> list[Line]:
        """Time what is done whether or not renders are recorded."""
        message, prompt = self._request.payload, self._rendered.prompt
        renderer = self._timed(lambda: self._renderer.render(self._resolved, self._payload))
        prompt_hash = self._timed(lambda: sha256_hex(prompt.encode()))
        traits, reason = message.semantic_traits, ErrorReason.PAYLOAD_INVALID
        unknown = self._timed(lambda: unknown_field_numbers(message))
        read = self._timed(lambda: struct_to_json(traits, "", reason))
        payload = self._timed(lambda: payload_from_proto(message))
        return _lines(
            {
                "Decode the request": self._timed(lambda: pb.RenderRequest.FromString(self._raw)),
                "Refuse unknown fields": unknown,
                "Read the payload's Struct": read,
                "Normalise the payload, RFC 8785, SHA-256": payload - unknown - read,
                "Fill in and join the four parts": renderer - prompt_hash,
                "SHA-256 of the prompt": prompt_hash,
                "Receipt: UUIDv7, time": self._timed(self._render) - renderer,
                "Write the answer's message": self._timed(lambda: rendered_to_proto(self._rendered)),
                "Encode the answer": self._timed(self._response.SerializeToString),
            }
        )

    def of_audit(self) -> list[Line]:
        """Time what recording adds."""
        with TemporaryDirectory(prefix="pecia-profile-") as folder:
            frame = fmt.frame(self._body)
            file = os.open(Path(folder) / "spool", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            try:
                append = self._timed(lambda: os.write(file, frame))
            finally:
                os.close(file)
            stored = asyncio.run(self._stored(f"sqlite:///{Path(folder) / 'audit.db'}"))
        timed = {
            "Record and its hash": self._timed(lambda: self._make_record(self._rendered)),
            "Record as JSON, CRC-32C": self._timed(lambda: fmt.frame(encode_record(self._record))),
            "Append to the spool": append,
        }
        return [*_lines(timed), Line(f"Row in SQLite, {_BATCH} to a transaction", stored)]

    async def _stored(self, url: str) -> float:
        database = Database.open(url)
        try:
            await migrate(database)
            store = AuditStore(database)
            spent = []
            for _ in range(self._repeats):
                records = [self._make_record(self._render()) for _ in range(_BATCH)]
                begun = time.process_time()
                await store.insert_many(records)
                spent.append(time.process_time() - begun)
        finally:
            await database.dispose()
        return median(spent) / _BATCH * 1e6

    def _timed(self, stage: Callable[[], object]) -> Cost:
        least = float("inf")
        for _ in range(self._repeats):
            begun = time.thread_time()
            for _ in range(self._loops):
                stage()
            least = min(least, time.thread_time() - begun)
        # The way to a stage and back is none of it.
        return Cost(least / self._loops * 1e6, self._cold(stage) - self._cold(_nothing))

    def _cold(self, stage: Callable[[], object]) -> float:
        """Return the median time of a stage that finds nothing of its own in the caches."""
        taken = []
        copy, memory = self._memory
        for _ in range(max(3, self._loops // 5)):
            copy[:] = memory
            begun = time.perf_counter()
            stage()
            taken.append(time.perf_counter() - begun)
        return median(taken) * 1e6

    def _render(self) -> Rendered:
        return self._generator.compute(self._resolved, self._payload, self._options)

    def _make_record(self, rendered: Rendered) -> AuditRecord:
        return make_record(
            TENANT,
            rendered.receipt,
            rendered.result,
            self._payload,
            inline=False,
            keep_prompt=True,
            keep_payload=True,
        )


def _lines(costs: Mapping[str, Cost]) -> list[Line]:
    return [Line(name, cost.warm, cold=cost.cold) for name, cost in costs.items()]


def _nothing() -> None:
    """Take the time that a stage without work takes."""


class _NoSink:
    """Keeps nothing."""

    def record(self, *_: object, **_named: object) -> None:
        """Forget what was rendered."""

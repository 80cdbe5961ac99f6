"""Calls of every kind whose clients go away at random points."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import prompt_service_pb2_grpc, registry_service_pb2_grpc
from pecia.v1 import registry_service_pb2 as registry_pb
from support.wire import label_ref, payload, publish, template, version_ref

CALLERS: Final = 8
SAMPLES: Final = 100

# From before the request is on its way to after the slowest answer.
SHORTEST_SECONDS, LONGEST_SECONDS = 0.0002, 0.5

# A label may have been deleted when it is asked for; nothing else is wrong with what is called.
EXPECTED: Final = ("OK", "CANCELLED", "NOT_FOUND")


async def prepare(registry: registry_service_pb2_grpc.RegistryServiceAsyncStub) -> None:
    """Publish what the calls are about."""
    await publish(registry, semvers=("1.0.0", "2.0.0"))
    await reset_labels(registry)


async def reset_labels(registry: registry_service_pb2_grpc.RegistryServiceAsyncStub) -> None:
    """Put both labels on the first version; a lock that was left behind would hold this up."""
    for label in ("a", "b"):
        await registry.SetLabel(
            registry_pb.SetLabelRequest(bundle_id="companion", label=label, semver="1.0.0")
        )


@dataclass
class Storm:
    """Calls of every kind; a share is cancelled after a random time. `memory` tells the bytes in use."""

    prompts: prompt_service_pb2_grpc.PromptServiceAsyncStub
    registry: registry_service_pb2_grpc.RegistryServiceAsyncStub
    random: Random
    memory: Callable[[], int]
    share: float = 1.0
    ended: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    resident: list[int] = field(default_factory=list)
    _number: int = 0

    async def rage(self, count: int) -> None:
        """Make so many calls from several callers, and note the memory in use a hundred times meanwhile."""
        every = max(1, count // SAMPLES)

        async def caller() -> None:
            while self._number < count:
                self._number += 1
                if self._number % every == 0:
                    self.resident.append(self.memory())
                await self._one()

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())

    async def blow(self, seconds: float) -> None:
        """Make calls for so long, and note the memory in use four hundred times meanwhile."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.call_later(seconds, over.set)

        def note() -> None:
            self.resident.append(self.memory())
            if not over.is_set():
                loop.call_later(seconds / (4 * SAMPLES), note)

        async def caller() -> None:
            while not over.is_set():
                await self._one()

        note()
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())

    async def _one(self) -> None:
        span = math.log(LONGEST_SECONDS / SHORTEST_SECONDS)
        delay = SHORTEST_SECONDS * math.exp(self.random.random() * span)
        kind = self.random.choice(list(self._kinds()))
        client = asyncio.create_task(self._call(kind))
        # Verifying takes the longer the more there is, and nobody would do so all the time.
        timer = (
            asyncio.get_running_loop().call_later(delay, client.cancel)
            if kind == "verify" or self.random.random() < self.share
            else None
        )
        await asyncio.wait({client})
        if timer is not None:
            timer.cancel()
        self.ended["CANCELLED" if client.cancelled() else client.result()] += 1

    async def _call(self, kind: str) -> str:
        """Make a call, use it to its end, and return its status."""
        call = self._kinds()[kind]()
        try:
            await self._finish(kind, call)
        except aio.AioRpcError as error:
            code = error.code().name
            if code not in EXPECTED:
                self.failed.append(f"{kind}: {code} {error.details()}")
            return code
        finally:
            call.cancel()
        return "OK"

    async def _finish(self, kind: str, call: Any) -> None:
        """Use a call to its end."""
        if kind == "verify":
            async for _ in call:
                pass
        elif kind == "stream":
            for _ in range(5):
                await call.write(pb.RenderStreamRequest(request=self._render()))
            await call.done_writing()
            async for _ in call:
                pass
        elif kind == "render":
            answer = await call
            self.acknowledged[answer.receipt.render_id] = answer.receipt.prompt_hash
        else:
            await call

    def _render(self, **fields: Any) -> pb.RenderRequest:
        task = f"storm {self.random.randrange(10**12)}"
        return pb.RenderRequest(**{"bundle": version_ref(), "payload": payload(task=task), **fields})

    def _kinds(self) -> dict[str, Callable[[], Any]]:
        prompts, registry, random = self.prompts, self.registry, self.random
        return {
            "render": lambda: prompts.Render(self._render()),
            "render by label": lambda: prompts.Render(self._render(bundle=label_ref(random.choice("ab")))),
            "batch": lambda: prompts.RenderBatch(
                pb.RenderBatchRequest(requests=[self._render() for _ in range(16)])
            ),
            "stream": prompts.RenderStream,
            "verify": lambda: prompts.VerifyAudit(pb.VerifyAuditRequest()),
            "list": lambda: registry.ListTemplates(registry_pb.ListTemplatesRequest()),
            "publish": lambda: registry.PublishTemplate(
                registry_pb.PublishTemplateRequest(
                    # An empty template would be refused, and so would one whose id was taken.
                    template=template(f"t{random.randrange(10**18)}", content="x" * random.randint(1, 10_000))
                )
            ),
            "label": lambda: registry.SetLabel(
                registry_pb.SetLabelRequest(
                    bundle_id="companion", label=random.choice("ab"), semver=random.choice(("1.0.0", "2.0.0"))
                )
            ),
            "delete": lambda: registry.DeleteLabel(
                registry_pb.DeleteLabelRequest(bundle_id="companion", label="b")
            ),
        }

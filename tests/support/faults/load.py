"""Load of renders, in which every prompt is another one, and every answer is remembered."""

from __future__ import annotations

import asyncio
import itertools
import queue
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1.prompt_service_pb2_grpc import PromptServiceStub
from pecia_service.storage.engine import Database
from pecia_service.storage.tables import audit_records
from sqlalchemy import select
from support.faults.served import Client
from support.wire import payload, version_ref

DEADLINE = 10.0
BATCH = 8
WINDOW = 4


@dataclass
class Load:
    """What clients were answered, how fast, and what failed."""

    name: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    goal: int = 0
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def aim(self, more: int) -> None:
        """Set `reached` when so many more renders are answered."""
        self.goal = len(self.acknowledged) + more
        self.reached.clear()

    def request(self) -> pb.RenderRequest:
        """Make a request that no other is like."""
        return pb.RenderRequest(
            bundle=version_ref(), payload=payload(task=f"{self.name} {next(self._numbers)}")
        )

    async def unary(self, client: Client, stop: asyncio.Event) -> None:
        """Render one prompt after the other until told to stop, or until one fails."""

        async def turn() -> None:
            begun = time.monotonic()
            self.answer(await client.prompts.Render(self.request(), timeout=DEADLINE))
            self.seconds.append(time.monotonic() - begun)

        await self._until(stop, turn)

    async def batches(self, client: Client, stop: asyncio.Event) -> None:
        """Render one batch after the other until told to stop, or until one fails."""

        async def turn() -> None:
            batch = pb.RenderBatchRequest(requests=[self.request() for _ in range(BATCH)])
            for outcome in (await client.prompts.RenderBatch(batch, timeout=DEADLINE)).outcomes:
                self.outcome(outcome)

        await self._until(stop, turn)

    async def stream(self, client: Client, stop: asyncio.Event) -> None:
        """Keep a few renders of a stream in flight until told to stop, or until it fails."""
        call = client.prompts.RenderStream()

        async def send() -> None:
            await call.write(pb.RenderStreamRequest(request=self.request()))

        async def receive() -> None:
            answer = await call.read()
            if not isinstance(answer, pb.RenderStreamResponse):
                raise _StreamEndedError((await call.code()).name)
            self.outcome(answer.outcome)

        async def turn() -> None:
            await receive()
            await send()

        async def begin() -> None:
            for _ in range(WINDOW):
                await send()

        async def finish() -> None:
            if not call.done():
                await call.done_writing()
            while True:
                await receive()

        if await self._counted(begin):
            await self._until(stop, turn)
        # What is under way is answered also when the server takes no more.
        await self._counted(finish)

    async def stream_to_its_end(self, target: str) -> None:
        """Keep a few renders of a stream in flight until the server ends it, and read whatever was answered.

        By a client of threads: that of asyncio forgets answers which have come already when one of its
        writes meets the end of the stream, and calls that INTERNAL.
        """
        loop = asyncio.get_running_loop()
        requests: queue.SimpleQueue[pb.RenderStreamRequest] = queue.SimpleQueue()
        for _ in range(WINDOW):
            requests.put(pb.RenderStreamRequest(request=self.request()))

        def talk() -> str:
            with grpc.insecure_channel(target) as channel:
                call = PromptServiceStub(channel).RenderStream(iter(requests.get, None))
                try:
                    for answer in call:
                        loop.call_soon_threadsafe(self.outcome, answer.outcome)
                        requests.put(pb.RenderStreamRequest(request=self.request()))
                except grpc.RpcError as error:
                    return str(error.code().name)
                return "OK"

        self.failures[f"stream {await asyncio.to_thread(talk)}"] += 1

    def outcome(self, outcome: pb.RenderOutcome) -> None:
        """Remember one of several outcomes."""
        if outcome.HasField("error"):
            self.failures[f"outcome {outcome.error.reason}"] += 1
        else:
            self.answer(outcome.response)

    def answer(self, response: pb.RenderResponse) -> None:
        """Remember an answer."""
        self.acknowledged[response.receipt.render_id] = response.receipt.prompt_hash
        if len(self.acknowledged) >= self.goal:
            self.reached.set()

    async def _until(self, stop: asyncio.Event, turn: Callable[[], Awaitable[None]]) -> None:
        while not stop.is_set() and await self._counted(turn):
            pass

    async def _counted(self, turn: Callable[[], Awaitable[None]]) -> bool:
        """Count how a turn failed; tell whether it did not."""
        try:
            await turn()
        except aio.AioRpcError as error:
            self.failures[error.code().name] += 1
            return False
        except _StreamEndedError as ended:
            if ended.code != "OK":
                self.failures[f"stream {ended.code}"] += 1
            return False
        except asyncio.InvalidStateError:
            # The stream ended between two messages; what is read next says how.
            return False
        return True


class _StreamEndedError(Exception):
    """Say that a stream has ended, and how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def rows(database_url: str) -> list[tuple[str, str]]:
    """Read id and prompt hash of every record from the database itself."""
    database = Database.open(database_url)
    try:
        statement = select(audit_records.c.render_id, audit_records.c.prompt_hash)
        return [(row.render_id, row.prompt_hash) for row in await database.fetch(statement)]
    finally:
        await database.dispose()


@dataclass(frozen=True)
class Account:
    """How many acknowledged renders have no row or a wrong one, and how many prompts are recorded twice."""

    acknowledged: int
    recorded: int
    lost: int
    wrong: int
    twice: int


async def account(database_url: str, acknowledged: dict[str, str]) -> Account:
    """Compare the database with what clients were answered."""
    found = await rows(database_url)
    recorded = dict(found)
    hashes = Counter(prompt_hash for _, prompt_hash in found)
    return Account(
        acknowledged=len(acknowledged),
        recorded=len(found),
        lost=sum(render_id not in recorded for render_id in acknowledged),
        wrong=sum(
            recorded.get(render_id, expected) != expected for render_id, expected in acknowledged.items()
        ),
        twice=sum(count - 1 for count in hashes.values()) + len(found) - len(recorded),
    )

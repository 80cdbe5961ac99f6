"""One process that makes calls: it reads its orders from stdin and reports on stdout, a line of JSON each."""

from __future__ import annotations

import asyncio
import json
import selectors
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from grpc import aio
from load.calls import STREAM_METHOD, streamed, unary
from load.loops import StreamCall, StreamCaller, make_calls
from load.plan import Connection, Kind, Plan
from load.recorder import Recorder
from load.schedule import Schedule, Window, clock, shared
from pecia_client.channel import channel_options, check_target
from pecia_client.security import Security

CONNECT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What one process of a run is told."""

    plan: Plan
    connection: Connection
    share: int
    recorded: Sequence[str]

    def text(self) -> str:
        """Return it as a line."""
        document = {
            "plan": self.plan.document(),
            "connection": self.connection.document(),
            "share": self.share,
            "recorded": list(self.recorded),
        }
        return json.dumps(document) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` gave."""
        document = json.loads(text)
        return cls(
            Plan.from_document(document["plan"]),
            Connection.from_document(document["connection"]),
            document["share"],
            document["recorded"],
        )


class Generator:
    """The callers of one process over their connections."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        plan, to = orders.plan, orders.connection
        security = Security(to.tls, to.ca, to.client_certificate, to.client_key, to.api_key)
        self._metadata = security.metadata()
        credentials = security.channel_credentials()
        options = channel_options(
            check_target(to.target),
            [
                # Each channel has a connection of its own, and a failure is counted, not tried again.
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.enable_retries", 0),
                ("grpc.primary_user_agent", "pecia-load"),
            ],
        )
        self._channels = [
            aio.insecure_channel(to.target, options=options)
            if credentials is None
            else aio.secure_channel(to.target, credentials, options=options)
            for _ in range(shared(plan.open_connections, orders.share, plan.processes))
        ]
        self._reported = 0
        self._callers = shared(plan.callers, orders.share, plan.processes)
        if plan.kind is Kind.STREAM:
            self._streamed = streamed(plan)
        else:
            self._method, self._requests = unary(plan, orders.recorded)

    async def connect(self) -> None:
        """Open all connections; raises TimeoutError when the server can't be reached."""
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.gather(*(channel.channel_ready() for channel in self._channels))

    async def run(self, start: float) -> None:
        """Make the calls of a run that starts then, and report."""
        window = Window.of(self._orders.plan, start)
        schedule = Schedule(self._orders.plan, self._orders.share, window)
        recorder = Recorder(window)
        await asyncio.sleep(max(0.0, start - clock()))
        reporter = asyncio.create_task(self._report(recorder, window))
        callers = [
            asyncio.create_task(self._caller(index, schedule, recorder, window))
            for index in range(self._callers)
        ]
        try:
            done, waiting = await asyncio.wait(callers, timeout=window.deadline - clock())
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for task in done:
                task.result()
        finally:
            reporter.cancel()
        now = clock()
        recorder.not_begun(schedule.left(), now)
        _say("last", number=self._reported, counts=recorder.take().document())

    async def _report(self, recorder: Recorder, window: Window) -> None:
        """Say what was counted in each interval, of which the first also has what belongs to the warm-up."""
        interval = self._orders.plan.interval
        while True:
            await asyncio.sleep(max(0.0, window.measured + (self._reported + 1) * interval - clock()))
            _say("interval", number=self._reported, counts=recorder.take().document())
            self._reported += 1

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def _caller(self, index: int, schedule: Schedule, recorder: Recorder, window: Window) -> None:
        plan = self._orders.plan
        channel = self._channels[index % len(self._channels)]
        if plan.kind is Kind.STREAM:
            call: StreamCall = channel.stream_stream(STREAM_METHOD)
            seconds = window.deadline - clock() + plan.timeout
            caller = StreamCaller(
                call,
                self._streamed,
                schedule,
                recorder,
                window=plan.window,
                timeout=seconds,
                metadata=self._metadata,
            )
            await caller.run()
        else:
            await make_calls(
                channel.unary_unary(self._method),
                self._requests,
                schedule,
                recorder,
                timeout=plan.timeout,
                metadata=self._metadata,
            )


def _say(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


async def generate() -> None:
    """Follow the orders: connect, say so, wait for the word when to start, make the calls."""
    orders = Orders.parse(await asyncio.to_thread(sys.stdin.readline))
    generator = Generator(orders)
    try:
        try:
            await generator.connect()
        except TimeoutError:
            _say(
                "failed", reason=f"no connection to {orders.connection.target} in {CONNECT_SECONDS:g} seconds"
            )
            return
        _say("ready")
        start = await asyncio.to_thread(sys.stdin.readline)
        # Without the word, whoever gave the orders is gone.
        if start:
            await generator.run(float(start))
            # As long as this process is there, its processor time can be read; it ends when it is let go.
            await asyncio.to_thread(sys.stdin.readline)
    finally:
        await generator.close()


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers are exact to microseconds: epoll's are rounded up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(generate())

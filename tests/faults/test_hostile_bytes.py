"""Hostile requests to every RPC: each ends with a status that the contract names, and the server lives on."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1.error_reason_pb2 import ErrorReason
from support.cli import run_cli
from support.faults.contract import named_statuses
from support.faults.figures import Fault, Figures
from support.faults.hostile import METHODS, SECRET, Case, Hostility
from support.faults.scale import seed, size
from support.faults.served import Client, connected, serving
from support.faults.trend import Trend, fit
from support.statuses import read_failure

LARGEST = 65_536
CALLERS = 16
DEADLINE = 20.0
SAMPLES = 100

# The allocator's arenas and the database's page caches come in steps of about a MiB.
NOISE_BYTES = 6 * 2**20
MOST_ATTACKS = 3

# What a client of grpc.aio makes of a stream that the server ended while it wrote to it.
CLIENT_FAULT = "Internal error from Core"

REASONS = frozenset(name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys())  # noqa: SIM118 - no dict

# The database answers all the time, so that nothing else can be unavailable.
UNAVAILABLE_REASONS = {"AUDIT_RECORD_PENDING"}
FORBIDDEN_OUTCOMES = {2, 4, 13, 14}


@dataclass
class Attack:
    """Sends cases from several callers, and judges how each ends."""

    client: Client
    named: dict[str, frozenset[str]]
    hostility: Hostility
    random: Random
    key: str = ""
    ended: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    unread: dict[str, Case] = field(default_factory=dict)

    def read(self, log: list[dict[str, Any]]) -> None:
        """Judge, by the server's log, the calls whose status the client did not keep."""
        for entry in log:
            case = self.unread.pop(entry.get("request_id", ""), None)
            if case is not None:
                self.ended[entry["status"]] += 1
                if entry["status"] not in self.named[case.method] - {"INTERNAL", "UNAVAILABLE"}:
                    self.wrong.append(f"{case.method} {case.kind}: {entry}")

    async def run(self, count: int, resident: Any) -> None:
        """Send so many cases, and note the memory in use a hundred times meanwhile."""
        sent = 0

        async def caller() -> None:
            nonlocal sent
            while sent < count:
                sent += 1
                if sent % max(1, count // SAMPLES) == 0:
                    self.resident.append(resident())
                await self.send(self.hostility.case())

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())

    async def send(self, case: Case) -> None:
        """Send one case and judge how it ends."""
        self.kinds[case.kind] += 1
        metadata, has_key = self._metadata()
        request_id = f"case-{self.kinds.total()}"
        if METHODS[case.method].client_streaming:
            metadata.set_all("x-request-id", [request_id])
        try:
            answers = await self._call(case, metadata)
        except aio.AioRpcError as error:
            if error.details() == CLIENT_FAULT:
                self.unread[request_id] = case
                return
            self.ended[error.code().name] += 1
            fault = self._judge(case, error, has_key)
        else:
            self.ended["OK"] += 1
            fault = self._judge_answers(case, answers)
        if fault:
            self.wrong.append(f"{case.method} {case.kind}: {fault}; {[raw[:300] for raw in case.messages]}")

    async def _call(self, case: Case, metadata: aio.Metadata) -> list[bytes]:
        method = METHODS[case.method]
        channel: Any = self.client.channel
        if method.client_streaming:
            call = channel.stream_stream(case.method)(
                iter(case.messages), timeout=DEADLINE, metadata=metadata
            )
            return [answer async for answer in call]
        if method.server_streaming:
            call = channel.unary_stream(case.method)(case.messages[0], timeout=DEADLINE, metadata=metadata)
            return [answer async for answer in call]
        call = channel.unary_unary(case.method)(case.messages[0], timeout=DEADLINE, metadata=metadata)
        return [await call]

    def _metadata(self) -> tuple[aio.Metadata, bool]:
        """Make metadata, at times hostile; tell whether the right key is in it."""
        random, pairs = self.random, []
        has_key = bool(self.key) and random.random() < 0.8
        if has_key:
            pairs.append(("authorization", f"Bearer {self.key}"))
        elif random.random() < 0.5:
            pairs.append(("authorization", random.choice(_CREDENTIALS) + self.key[: random.randrange(90)]))
        if random.random() < 0.3:
            pairs.append((random.choice(("x-request-id", "traceparent", "tracestate")), random.choice(_IDS)))
        if random.random() < 0.1:
            pairs.append(("x-anything-bin", random.randbytes(random.randrange(200))))  # type: ignore[arg-type]  # -bin is bytes
        return aio.Metadata(*pairs), has_key

    def _judge(self, case: Case, error: aio.AioRpcError, has_key: bool) -> str:
        """Return what is wrong with a failure; empty when it is one that the contract names."""
        code = error.code().name
        if code == "RESOURCE_EXHAUSTED" and max(map(len, case.messages)) > LARGEST:
            return ""
        if code not in self.named[case.method] - {"INTERNAL"}:
            return f"{code} {error.details()}"
        failure = read_failure(error)
        if failure.reason not in REASONS:
            return f"{code} of reason {failure.reason}"
        if code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"} and failure.reason not in UNAVAILABLE_REASONS:
            return f"{code} of reason {failure.reason}"
        if code == "UNAUTHENTICATED" and (has_key or not self.key):
            return f"{code} with the right key, or where none is needed"
        return ""

    def _judge_answers(self, case: Case, answers: list[bytes]) -> str:
        outcomes: list[pb.RenderOutcome] = []
        if case.method.endswith("/RenderBatch"):
            outcomes = list(pb.RenderBatchResponse.FromString(answers[0]).outcomes)
        elif case.method.endswith("/RenderStream"):
            outcomes = [pb.RenderStreamResponse.FromString(answer).outcome for answer in answers]
        bad = [outcome.error for outcome in outcomes if outcome.error.code in FORBIDDEN_OUTCOMES]
        return str(bad) if bad else ""


_CREDENTIALS = (
    "",
    "Bearer ",
    "Bearer pecia_",
    "bearer",
    "Basic YTpi",
    "Bearer pecia_default.",
    "Bearer " + "a" * 3000,
)
_IDS = (
    "",
    " ",
    "a" * 128,
    "a" * 129,
    "../" * 20,
    "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
    "%00",
    "{{task}}",
)


async def make_key(url: str) -> str:
    """Make a key that may do everything."""
    made = await asyncio.to_thread(
        run_cli, "keys", "create", "--tenant", "default", "--all-scopes", "--database-url", url
    )
    assert made.exit_code == 0, made.stderr
    return made.stdout.strip()


@pytest.mark.parametrize(
    ("engine_name", "authentication"),
    [("sqlite", "none"), ("postgresql", "required")],
    indirect=["engine_name"],
)
async def test_hostile_requests_get_statuses_of_the_contract(
    authentication: str, migrated_database_url: str, engine_name: str, tmp_path: Path, figures: Figures
) -> None:
    """Never INTERNAL or UNKNOWN, no hang, no crash, no growth, and nothing of them in the log."""
    count = size(2_000, 60_000)
    key = await make_key(migrated_database_url) if authentication == "required" else ""
    async with (
        serving(
            migrated_database_url,
            flat=True,
            authentication=authentication,
            audit_spool_dir=tmp_path / "spool",
            max_request_bytes=LARGEST,
            cache_bytes=2**18,
            # A queue for connections is no outage, however slow the machine.
            database_connect_timeout=DEADLINE,
        ) as server,
        connected(server.target) as client,
    ):
        random = Random(seed())
        attack = Attack(client, named_statuses(), Hostility(random, LARGEST), random, key)
        # What an allocator takes once is no growth, whenever it comes: what leaks does so in every attack.
        trends: list[Trend] = []
        while len(trends) < MOST_ATTACKS and not (trends and trends[-1].within_noise(NOISE_BYTES)):
            attack.resident.clear()
            await attack.run(count, lambda: server.resident)
            trends.append(fit(attack.resident[len(attack.resident) // 3 :]))
        await server.stopped()
    attack.read(server.events("call"))
    figures.add(
        Fault.HOSTILE,
        f"{engine_name}, authentication {authentication}",
        cases=attack.ended.total(),
        rpcs=len(METHODS),
        **dict(attack.ended.most_common()),
        not_of_the_contract=len(attack.wrong),
        growth_after_a_third=str(trends[-1]),
    )
    assert ([], {}) == (attack.wrong[:5], attack.unread)
    assert set(METHODS) == set(named_statuses())
    assert ([], []) == ([entry for entry in server.log if entry["level"] == "error"], server.stray)
    assert SECRET not in str(server.log)
    assert trends[-1].within_noise(NOISE_BYTES)

"""The load harness against a live server, and against servers that answer wrongly, late or not at all."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from load.plan import Connection, Kind, Plan
from load.runner import LoadError, Progress, run
from pecia.v1.prompt_service_pb2 import RenderResponse
from pecia_service.access.model import Scope
from support.certificates import Authority
from support.credentials import HandClock, credentials_of
from support.load_target import PROFILE, Context, load_target
from support.server import LiveServer, live_server

STALL_SECONDS = 0.3


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """Give a server with an empty database."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        yield server


@pytest.mark.parametrize(
    "plan",
    [
        Plan(kind=Kind.RENDER, profile="medium", callers=4, processes=2, requests=20, warmup=0.1),
        Plan(kind=Kind.RENDER, profile="short", callers=2, requests=20, warmup=0.1, bundles=3),
        Plan(kind=Kind.RENDER, profile="minimal", callers=2, requests=20, warmup=0, validate_only=True),
        Plan(kind=Kind.RENDER, profile="minimal", callers=4, rate=100, requests=20, warmup=0.1),
        Plan(kind=Kind.LABEL, profile="minimal", callers=2, requests=20, warmup=0.1),
        Plan(kind=Kind.BATCH, profile="short", callers=2, requests=20, batch=9, warmup=0.1),
        Plan(kind=Kind.STREAM, profile="short", callers=2, processes=2, requests=20, window=3, warmup=0.1),
        Plan(kind=Kind.STREAM, profile="minimal", callers=1, rate=100, requests=20, warmup=0.1),
        Plan(kind=Kind.REPLAY, profile="short", callers=2, requests=20, warmup=0.1),
        Plan(kind=Kind.HEALTH, callers=2, requests=20, warmup=0.1),
    ],
    ids=lambda plan: plan.name.replace(", ", "-").replace(" ", "-").replace("/s", ""),
)
async def test_every_kind_of_call_is_answered_rightly(live: LiveServer, plan: Plan) -> None:
    """As many calls as were asked for, each with the status and the hashes that were computed before."""
    result = await run(plan, Connection(target=live.target))
    assert (20, 20, {}) == (result.answered, result.requests, result.errors)
    assert (True, True) == (result.rate > 0, 0 < result.latency.p50 <= result.latency.max)


async def test_a_server_with_tls_and_keys_is_measured_as_one_that_knows_its_callers(tmp_path: Path) -> None:
    """Every generator proves who it is; without a key there is nothing to measure."""
    authority = Authority()
    certificate, key = authority.server().write(tmp_path)
    plan = Plan(kind=Kind.LABEL, profile="minimal", callers=2, processes=2, requests=10, warmup=0)
    async with live_server(
        f"sqlite:///{tmp_path / 'pecia.db'}",
        tls_certificate=str(certificate),
        tls_key=str(key),
        authentication="required",
    ) as live:
        scopes = [Scope.PUBLISH, Scope.LABEL, Scope.RENDER]
        new = await credentials_of(live.application.database, HandClock()).create_key("acme", scopes)
        without = Connection(target=live.target, ca=authority.certificate)
        result = await run(plan, replace(without, api_key=new.text))
        with pytest.raises(LoadError, match="UNAUTHENTICATED \\(CREDENTIALS_MISSING\\)"):
            await run(plan, without)
    assert (10, {}) == (result.answered, result.errors)


async def test_renders_are_recorded_unless_they_only_validate(live: LiveServer) -> None:
    """What is measured is the whole of a render."""
    plan = Plan(kind=Kind.RENDER, profile="minimal", callers=1, requests=5, warmup=0)
    await run(plan, Connection(target=live.target))
    await run(
        Plan(kind=Kind.RENDER, profile="minimal", callers=1, requests=5, warmup=0, validate_only=True),
        Connection(target=live.target),
    )
    assert await live.application.sink.flush(30)
    assert 5 == live.application.sink.status().written


async def test_a_failure_is_counted_by_status_and_reason(live: LiveServer) -> None:
    """A server that doesn't have the bundle answers nothing that counts as an answer."""
    plan = Plan(kind=Kind.RENDER, profile="short", callers=2, requests=6, warmup=0)
    result = await run(plan, Connection(target=live.target), publish=False)
    assert ({"NOT_FOUND BUNDLE_NOT_FOUND": 6}, 0, 6, 0.0) == (
        result.errors,
        result.answered,
        result.failed,
        result.rate,
    )


@pytest.mark.parametrize("kind", [Kind.RENDER, Kind.BATCH, Kind.STREAM])
async def test_another_prompt_is_wrong_although_the_receipt_is_right(kind: Kind) -> None:
    """The harness hashes what it was sent, and takes nobody's word for it."""

    def change(number: int, answer: RenderResponse) -> None:
        if number % 2:
            answer.prompt += "."

    async with load_target(change=change) as target:
        plan = Plan(kind=kind, profile=PROFILE, callers=1, requests=10, warmup=0, batch=1)
        result = await run(plan, Connection(target=target.address), publish=False)
    assert ({"WRONG_ANSWER prompt": 5}, 5) == (result.errors, result.answered)


@pytest.mark.parametrize("name", ["prompt_hash", "payload_hash", "bundle_hash"])
async def test_another_receipt_is_wrong_although_the_prompt_is_right(name: str) -> None:
    """A receipt is half of the answer."""

    def change(number: int, answer: RenderResponse) -> None:
        setattr(answer.receipt, name, "0" * 64)

    async with load_target(change=change) as target:
        plan = Plan(kind=Kind.RENDER, profile=PROFILE, callers=1, requests=3, warmup=0)
        result = await run(plan, Connection(target=target.address), publish=False)
    assert {f"WRONG_ANSWER {name}": 3} == result.errors


@pytest.mark.parametrize("kind", [Kind.RENDER, Kind.STREAM])
async def test_a_status_is_counted_and_the_run_goes_on(kind: Kind) -> None:
    """A stream that has ended is opened anew."""

    async def before(number: int, context: Context) -> None:
        if number in {2, 3}:
            await context.abort(grpc.StatusCode.INTERNAL, "no")

    async with load_target(before) as target:
        plan = Plan(kind=kind, profile=PROFILE, callers=1, window=1, requests=8, warmup=0)
        result = await run(plan, Connection(target=target.address), publish=False)
    assert ({"INTERNAL": 2}, 6) == (result.errors, result.answered)


async def test_latencies_of_an_open_loop_include_what_a_stalled_server_kept_waiting() -> None:
    """Four calls hang for 300 ms; those that were due meanwhile waited too, though they were never sent."""
    held: list[int] = []
    over = asyncio.Event()

    async def before(number: int, context: Context) -> None:
        if number >= 40 and not over.is_set():
            held.append(number)
            # Not before all callers are held: how soon they come is the machine's business.
            if len(held) == 4:
                asyncio.get_running_loop().call_later(STALL_SECONDS, over.set)
            await over.wait()

    async with load_target(before) as target:
        plan = Plan(kind=Kind.RENDER, profile=PROFILE, callers=4, rate=200, seconds=1, warmup=0)
        result = await run(plan, Connection(target=target.address), publish=False)
    assert (200, 200, 4) == (result.requests, result.answered, len(held))
    # Some 60 calls were due in the stall: of 200, a tenth has waited for two thirds of it.
    assert (True, True) == (result.latency.max >= STALL_SECONDS, result.latency.p90 >= STALL_SECONDS / 3)
    assert (True, True) == (result.late >= 40, result.latest >= STALL_SECONDS * 2 / 3)


@pytest.mark.parametrize("kind", [Kind.RENDER, Kind.STREAM])
async def test_calls_without_an_answer_are_counted_with_the_time_that_they_waited(kind: Kind) -> None:
    """Those in flight as unfinished, those that nobody was free to begin as such."""

    async def before(number: int, context: Context) -> None:
        await asyncio.Event().wait()

    async with load_target(before) as target:
        plan = Plan(
            kind=kind,
            profile=PROFILE,
            callers=2,
            window=1,
            rate=25,
            seconds=1,
            warmup=0,
            drain=0.2,
            timeout=30,
        )
        result = await run(plan, Connection(target=target.address), publish=False)
    assert (2, 23, 25, 25) == (result.unfinished, result.not_begun, result.requests, result.failed)
    assert (25, True) == (result.latency.count, result.latency.max >= 1.2)


async def test_a_deadline_that_passes_is_an_error_and_a_latency() -> None:
    """A server looks no faster for what it never answers."""

    async def before(number: int, context: Context) -> None:
        await asyncio.Event().wait()

    async with load_target(before) as target:
        plan = Plan(kind=Kind.RENDER, profile=PROFILE, callers=2, requests=2, warmup=0, timeout=0.2)
        result = await run(plan, Connection(target=target.address), publish=False)
    assert ({"DEADLINE_EXCEEDED": 2}, 2, True) == (
        result.errors,
        result.latency.count,
        result.latency.p50 >= 0.2,
    )


@pytest.mark.parametrize("count", [{"requests": 400}, {"seconds": 0.5}], ids=["requests", "seconds"])
async def test_processor_time_is_read_of_the_server_and_of_every_generator(count: dict[str, Any]) -> None:
    """Also of a generator that is done: a rate that the generators limit is no rate of the server."""
    async with load_target() as target:
        plan = Plan(kind=Kind.RENDER, profile=PROFILE, callers=4, processes=2, warmup=0, **count)
        result = await run(plan, Connection(target=target.address), publish=False, server_pid=os.getpid())
    # The kernel counts in hundredths of a second.
    assert (True, True) == ((result.server_cpu or 0) >= 0.01, result.generator_cpu >= 0.01)
    assert result.renders_per_cpu_second == result.completed / (result.server_cpu or 0)


async def test_no_server_is_no_result() -> None:
    """It is said within seconds, not counted as so many failures."""
    async with load_target() as target:
        address = target.address
    plan = Plan(kind=Kind.HEALTH, callers=1, requests=1)
    with pytest.raises(LoadError, match=f"no connection to {address}"):
        await run(plan, Connection(target=address))


async def test_a_server_that_refuses_to_be_prepared_is_no_result() -> None:
    """Its own words say why."""
    async with load_target() as target:
        plan = Plan(kind=Kind.RENDER, profile=PROFILE, callers=1, requests=1)
        with pytest.raises(LoadError, match="could not be prepared: UNIMPLEMENTED"):
            await run(plan, Connection(target=target.address))


async def test_a_server_that_is_not_there_to_be_prepared_is_no_result() -> None:
    """The error says how to come by one."""
    async with load_target() as target:
        address = target.address
    plan = Plan(kind=Kind.RENDER, profile=PROFILE, callers=1, requests=1)
    with pytest.raises(LoadError, match=r"UNAVAILABLE: .*; start one, .* --serve start its own$"):
        await run(plan, Connection(target=address))


async def test_progress_is_told_while_calls_are_made() -> None:
    """Whoever waits sees that something happens, and what."""
    told: list[Progress] = []
    async with load_target() as target:
        plan = Plan(kind=Kind.RENDER, profile=PROFILE, callers=1, seconds=2, warmup=0.1, interval=0.4)
        result = await run(plan, Connection(target=target.address), publish=False, progress=told.append)
    shown = [progress.interval for progress in told if progress.interval is not None]
    assert ["preparing", "warming up", "measuring"] == list(dict.fromkeys(each.phase for each in told))[:3]
    assert (shown, 5) == (result.intervals, len(shown))
    assert result.completed == pytest.approx(sum(each.rate * 0.4 for each in shown), rel=0.01)

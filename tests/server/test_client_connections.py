"""One client has one connection, for all its calls, threads and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from pecia_client import AsyncClient, Client
from pecia_client.messages import RenderResponse
from support.faults.proxy import FaultProxy, proxied
from support.server import live_server
from support.wire import inline_bundle, payload

CALLERS = 16
CALLS = 10
BUNDLE = inline_bundle()
Line = tuple[str, FaultProxy]


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """Give the way to a real server, and the proxy on it, which counts connections."""
    async with (
        live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server,
        proxied(f"grpc://{server.target}") as (proxy, url),
    ):
        yield url.removeprefix("grpc://"), proxy


def answered(response: RenderResponse) -> str:
    """Return the task that a prompt was made for, if the prompt is the one of its receipt."""
    assert sha256(response.prompt.encode()).hexdigest() == response.receipt.prompt_hash
    return response.prompt.rpartition("Do this: ")[2]


def numbers(caller: int) -> list[str]:
    """Name the calls of one caller."""
    return [f"{caller}.{number}" for number in range(CALLS)]


async def test_tasks_share_a_client_and_its_connection(line: Line) -> None:
    """Many at once, each gets its own answers."""
    target, proxy = line

    async def call(client: AsyncClient, caller: int) -> list[str]:
        return [
            answered(await client.render(payload=payload(task=name), inline_bundle=BUNDLE))
            for name in numbers(caller)
        ]

    async with AsyncClient(target) as client:
        answers = await asyncio.gather(*(call(client, caller) for caller in range(CALLERS)))
    assert ([numbers(caller) for caller in range(CALLERS)], 1) == (answers, proxy.accepted)


async def test_threads_share_a_client_and_its_connection(line: Line) -> None:
    """Many at once, each gets its own answers."""
    target, proxy = line

    def call(client: Client, caller: int) -> list[str]:
        return [
            answered(client.render(payload=payload(task=name), inline_bundle=BUNDLE))
            for name in numbers(caller)
        ]

    def job() -> list[list[str]]:
        with Client(target) as client, ThreadPoolExecutor(CALLERS) as pool:
            return list(pool.map(lambda caller: call(client, caller), range(CALLERS)))

    answers = await asyncio.to_thread(job)
    assert ([numbers(caller) for caller in range(CALLERS)], 1) == (answers, proxy.accepted)


async def test_a_broken_connection_is_made_anew(line: Line) -> None:
    """Calls go on without the program's doing."""
    target, proxy = line
    async with AsyncClient(target) as client:
        answers = []
        for name in ("before", "after"):
            response = await client.render(payload=payload(task=name), inline_bundle=BUNDLE)
            answers.append(answered(response))
            proxy.reset()
    assert (["before", "after"], 2) == (answers, proxy.accepted)


@pytest.mark.parametrize(("own", "connections"), [(False, 1), (True, 3)])
async def test_clients_share_a_connection_unless_told_otherwise(
    line: Line, own: bool, connections: int
) -> None:
    """gRPC pools connections to one target in a process; an option gives each client its own."""
    target, proxy = line
    options = [("grpc.use_local_subchannel_pool", int(own))]
    clients = [AsyncClient(target, options=options) for _ in range(3)]
    for client in clients:
        await client.render(payload=payload(), inline_bundle=BUNDLE)
    for client in clients:
        await client.close()
    assert connections == proxy.accepted

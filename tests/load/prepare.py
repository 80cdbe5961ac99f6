"""Publish what a plan renders, and record what it replays."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

import grpc
from load.calls import render_requests
from load.plan import Connection, Kind, Plan
from load.profiles import LABEL, VERSION, Profile
from pecia_client import AsyncClient, PeciaError

RECORDS: Final = 256
"""How many different records are replayed in turn."""
_AT_ONCE: Final = 16
_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


class LoadError(Exception):
    """A run can't be made at all."""


async def prepare(
    plan: Plan, connection: Connection, *, publish: bool, told: Callable[[str], None]
) -> list[str]:
    """Bring the server to where a plan can run; return the render_ids that it replays.

    `told` is told what is going on, if that takes a while. Raises LoadError when the server refuses.
    """
    if plan.kind in {Kind.HEALTH, Kind.ECHO}:
        return []
    async with AsyncClient(
        connection.target,
        timeout=_SECONDS,
        tls=connection.tls,
        ca=connection.ca,
        client_certificate=connection.client_certificate,
        client_key=connection.client_key,
        api_key=connection.api_key,
    ) as client:
        try:
            if publish:
                await _publish(client, plan, told)
            return await _record(client, plan, told) if plan.kind is Kind.REPLAY else []
        except PeciaError as error:
            away = error.code is grpc.StatusCode.UNAVAILABLE
            advice = "; start one, name another with --target, or let --serve start its own" if away else ""
            raise LoadError(f"the server could not be prepared: {error}{advice}") from error


async def _publish(client: AsyncClient, plan: Plan, told: Callable[[str], None]) -> None:
    profile = Profile.read(plan.profile)

    async def one(number: int) -> None:
        bundle, templates = profile.messages(number)
        for template in templates:
            await client.publish_template(template)
        await client.publish_bundle(bundle)
        if plan.kind is Kind.LABEL:
            await client.set_label(bundle.bundle_id, LABEL, VERSION)

    for begin in range(0, plan.bundles, _AT_ONCE):
        end = min(begin + _AT_ONCE, plan.bundles)
        await asyncio.gather(*(one(number) for number in range(begin, end)))
        if plan.bundles > _AT_ONCE:
            told(f"published {end:,} of {plan.bundles:,} bundles")


async def _record(client: AsyncClient, plan: Plan, told: Callable[[str], None]) -> list[str]:
    told(f"recording {RECORDS} renders to replay")
    turns = itertools.islice(itertools.cycle(render_requests(plan)), RECORDS)
    requests = [request for request, _ in turns]
    outcomes = await client.render_batch(requests)
    recorded = []
    for outcome in outcomes:
        if not outcome.HasField("response"):
            raise PeciaError.from_render_error(outcome.error)
        recorded.append(outcome.response.receipt.render_id)
    async with asyncio.timeout(_SECONDS):
        for render_id in recorded:
            await _readable(client, render_id)
    return recorded


async def _readable(client: AsyncClient, render_id: str) -> None:
    while True:
        try:
            await client.get_audit_record(render_id)
        except PeciaError as error:
            if error.code is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return

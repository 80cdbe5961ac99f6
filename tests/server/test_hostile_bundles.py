"""What a caller can send costs what it is worth: the number of inline templates is bounded."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pecia.v1 import bundle_pb2, replay_pb2, template_pb2
from pecia.v1 import prompt_service_pb2 as pb
from support.server import LiveServer, live_server
from support.statuses import failure_of
from support.wire import bundle, inline_bundle, payload


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """Serve on SQLite."""
    async with live_server(f"sqlite:///{tmp_path}/pecia.db", log_level="error") as live:
        yield live


def many(count: int) -> bundle_pb2.InlineBundle:
    """Make an inline bundle with so many empty templates, of which each has several faults."""
    return bundle_pb2.InlineBundle(bundle=bundle(), templates=[template_pb2.TemplateDefinition()] * count)


CALLS: dict[str, Callable[[LiveServer, bundle_pb2.InlineBundle], Awaitable[Any]]] = {
    "Render": lambda server, given: server.prompts.Render(
        pb.RenderRequest(inline_bundle=given, payload=payload())
    ),
    "CheckOutput": lambda server, given: server.prompts.CheckOutput(
        pb.CheckOutputRequest(inline_bundle=given, output="text")
    ),
    "Replay": lambda server, given: server.prompts.Replay(
        pb.ReplayRequest(claim=replay_pb2.ReceiptClaim(receipt={}, payload=payload(), inline_bundle=given))
    ),
}


@pytest.mark.parametrize("call", CALLS)
async def test_more_templates_than_slots_are_refused_unread(server: LiveServer, call: str) -> None:
    """A hundred thousand empty templates are one fault, not four hundred thousand."""
    failure = await failure_of(CALLS[call](server, many(100_000)))
    assert (grpc.StatusCode.INVALID_ARGUMENT, "SIZE_EXCEEDED") == (failure.code, failure.reason)
    assert {"size": "100000", "limit": "4"}.items() <= failure.metadata.items()
    assert len(failure.violations) == 1


async def test_four_faulty_templates_are_told_together(server: LiveServer) -> None:
    """Up to the bound every template is checked."""
    failure = await failure_of(CALLS["Render"](server, many(4)))
    assert {f"inline_bundle.templates[{index}].content" for index in range(4)} <= {
        field for field, _ in failure.violations
    }


async def test_as_many_templates_as_slots_are_rendered(server: LiveServer) -> None:
    """Four are what a bundle has."""
    response = await CALLS["Render"](server, inline_bundle())
    assert len(response.parts) == 4

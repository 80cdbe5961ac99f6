"""How callers show who they are."""

from collections.abc import AsyncIterator

import grpc
import pytest
from pecia.v1 import prompt_service_pb2 as pb
from pecia_service.access.model import ANONYMOUS
from pecia_service.server.interceptors.assembly import edge_interceptor
from pecia_service.settings import Settings
from support.edge import ADA, BOB, Edge, KnownCallers, bearer, edge
from support.statuses import failure_of

REQUEST = pb.RenderRequest()


@pytest.fixture
async def server() -> AsyncIterator[Edge]:
    """Give a server that wants authentication."""
    async with edge(KnownCallers()) as live:
        yield live


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_key_is_shown_as_a_bearer_token(server: Edge, scheme: str) -> None:
    """The scheme's case does not matter (RFC 9110)."""
    await server.prompts.Render(REQUEST, metadata=(("authorization", f"{scheme} ada"),))
    assert [ADA] == server.servicer.callers


async def test_each_call_has_its_own_caller(server: Edge) -> None:
    """Also those that share a connection."""
    for key in ("ada", "bob", "ada"):
        await server.prompts.Render(REQUEST, metadata=bearer(key))
    assert [ADA, BOB, ADA] == server.servicer.callers


async def test_streams_have_their_caller(server: Edge) -> None:
    """All kinds of calls go the same way."""
    async for _ in server.prompts.VerifyAudit(pb.VerifyAuditRequest(), metadata=bearer("bob")):
        pass
    async for _ in server.prompts.RenderStream(iter([pb.RenderStreamRequest()]), metadata=bearer("bob")):
        pass
    assert [BOB, BOB] == server.servicer.callers


async def test_who_shows_nothing_is_told_what_to_show(server: Edge) -> None:
    """The message says how."""
    failure = await failure_of(server.prompts.Render(REQUEST))
    assert (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING") == (failure.code, failure.reason)
    assert {"method": "/pecia.v1.PromptService/Render"} == failure.metadata
    assert "authorization: Bearer KEY" in failure.message
    assert [] == server.servicer.callers


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Basic ada"),),
        (("authorization", "ada"),),
        (("authorization", "Bearer"),),
        (("authorization", ""),),
        (("authorization", "Bearer carl"),),
        (*bearer("ada"), *bearer("bob")),
        (*bearer("ada"), *bearer("ada")),
    ],
    ids=str,
)
async def test_what_is_no_key_lets_nobody_in(server: Edge, metadata: tuple[tuple[str, str], ...]) -> None:
    """Nor do two: whoever stands between could choose which one counts."""
    failure = await failure_of(server.prompts.Render(REQUEST, metadata=metadata))
    assert (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID") == (failure.code, failure.reason)
    assert ({"kind": "key"}, []) == (failure.metadata, server.servicer.callers)


async def test_without_authentication_everybody_is_anonymous() -> None:
    """What is shown all the same is not looked at."""
    async with edge() as server:
        await server.prompts.Render(REQUEST)
        await server.prompts.Render(REQUEST, metadata=bearer("nobody"))
        assert [ANONYMOUS, ANONYMOUS] == server.servicer.callers


def test_authentication_needs_somebody_who_knows_callers() -> None:
    """Required, and nobody to ask, must not mean that everybody comes in."""
    with pytest.raises(ValueError, match="there is nothing that knows callers"):
        edge_interceptor(Settings.load({}, {"authentication": "required"}), None)

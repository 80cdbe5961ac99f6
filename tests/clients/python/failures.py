"""Cases about calls that must fail: with the service's reason, and at the client's deadline."""

import threading
from collections.abc import Iterator
from typing import Final

import grpc
from clients.python.checks import Checks
from clients.python.vectors import sha256
from clients.python.world import World, refused
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pecia.v1.bundle_pb2 import BundleRef
from pecia.v1.prompt_service_pb2 import RenderRequest

DEADLINE_SECONDS: Final = 0.2
NOT_FOUND: Final = 5


def error(world: World, checks: Checks) -> str:
    """Compare the details of two errors to the byte of what the contract promises."""
    checks.where = "unknown version"
    bundle_id = world.bundle_id
    failure = refused(lambda: world.client.get_bundle(f"{bundle_id}@9.9.9"))
    checks.equal("code", "NOT_FOUND", failure.code.name)
    assert isinstance(failure.__cause__, grpc.Call)
    status = rpc_status.from_call(failure.__cause__)
    assert status is not None, "the call has no google.rpc.Status"
    checks.equal("code of the status", NOT_FOUND, status.code)
    infos = [detail for detail in status.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    checks.equal("number of ErrorInfo", 1, len(infos))
    info = error_details_pb2.ErrorInfo.FromString(infos[0].value)
    checks.equal("domain", "pecia", info.domain)
    checks.equal("reason", "BUNDLE_NOT_FOUND", info.reason)
    checks.equal("bundle_id", bundle_id, info.metadata["bundle_id"])
    checks.equal("semver", "9.9.9", info.metadata["semver"])
    checks.where = "bad field"
    failure = refused(lambda: world.client.get_bundle(BundleRef(bundle_id="not an id", semver="1.0.0")))
    checks.equal("code", "INVALID_ARGUMENT", failure.code.name)
    checks.equal("reason", "IDENTIFIER_INVALID", failure.reason)
    checks.equal("number of field violations", 1, len(failure.violations))
    checks.equal("field", "bundle.bundle_id", failure.violations[0][0])
    return ""


def deadline(world: World, checks: Checks) -> str:
    """Open a stream, say nothing, and be told that the time is up; then use the channel again."""
    done = threading.Event()

    def silence() -> Iterator[tuple[str, RenderRequest]]:
        done.wait()
        yield from ()

    checks.where = "silent stream"
    try:
        failure = refused(lambda: list(world.client.render_stream(silence(), timeout=DEADLINE_SECONDS)))
    finally:
        done.set()
    checks.equal("code", "DEADLINE_EXCEEDED", failure.code.name)
    checks.where = "render after it"
    answer = world.client.render(world.require_published(), payload=world.payload())
    checks.equal("prompt_hash", sha256(answer.prompt.encode()), answer.receipt.prompt_hash)
    return ""

"""Errors of the server, decoded."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from pecia_client import PeciaError
from pecia_client.messages import ErrorReason, RenderError, RenderFieldViolation

KEY = "grpc-status-details-bin"
INFO = error_details_pb2.ErrorInfo(domain="pecia", reason="TEMPLATE_SYNTAX", metadata={"line": "3"})


def pack(message: Message) -> Any:
    """Wrap a detail as google.rpc.Status wants it."""
    detail = Any()
    detail.Pack(message)
    return detail


def call_error(*details: Any) -> aio.AioRpcError:
    """Make the error of a call with these details."""
    status = status_pb2.Status(code=3, message="bad", details=details)
    trailing = aio.Metadata((KEY, status.SerializeToString()))
    return aio.AioRpcError(grpc.StatusCode.INVALID_ARGUMENT, aio.Metadata(), trailing, "bad")


def test_all_details_are_decoded() -> None:
    """Reason, metadata, violations and delay come from their messages."""
    violation = error_details_pb2.BadRequest.FieldViolation(field="content", description="close it")
    error = PeciaError.from_call(
        call_error(
            pack(INFO),
            pack(error_details_pb2.BadRequest(field_violations=[violation])),
            pack(error_details_pb2.RetryInfo(retry_delay=Duration(nanos=250_000_000))),
        )
    )
    expected = (
        grpc.StatusCode.INVALID_ARGUMENT,
        "bad",
        "TEMPLATE_SYNTAX",
        {"line": "3"},
        [("content", "close it")],
        0.25,
    )
    assert expected == (
        error.code,
        error.message,
        error.reason,
        error.metadata,
        error.violations,
        error.retry_after,
    )


def test_the_text_names_status_and_reason() -> None:
    """What a traceback shows is enough to act on."""
    assert str(PeciaError.from_call(call_error(pack(INFO)))) == "INVALID_ARGUMENT (TEMPLATE_SYNTAX): bad"


def test_an_error_without_details_has_code_and_message() -> None:
    """gRPC's own errors carry no details."""
    bare = aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, aio.Metadata(), aio.Metadata(), "no route")
    error = PeciaError.from_call(bare)
    assert (error.reason, error.metadata, error.violations, error.retry_after) == ("", {}, [], None)
    assert str(error) == "UNAVAILABLE: no route"


def test_a_reason_of_another_domain_is_not_ours() -> None:
    """A proxy's ErrorInfo must not read like one of Pecia's."""
    foreign = error_details_pb2.ErrorInfo(domain="proxy", reason="TEMPLATE_SYNTAX")
    assert PeciaError.from_call(call_error(pack(foreign))).reason == ""


@pytest.mark.parametrize("value", [b"\xff\xff", b"\x12\x05ab"])
def test_damaged_details_do_not_hide_the_error(value: bytes) -> None:
    """Code and message survive details that are not a google.rpc.Status."""
    broken = aio.AioRpcError(grpc.StatusCode.INTERNAL, aio.Metadata(), aio.Metadata((KEY, value)), "oops")
    assert str(PeciaError.from_call(broken)) == "INTERNAL: oops"


def test_one_damaged_detail_does_not_hide_the_others() -> None:
    """A detail that claims to be an ErrorInfo and is not is left out."""
    broken = Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff\xff")
    error = PeciaError.from_call(call_error(broken, pack(INFO)))
    assert (error.reason, error.retry_after) == ("TEMPLATE_SYNTAX", None)


def test_the_error_of_an_outcome_is_decoded_alike() -> None:
    """A failed item of a batch gives the same exception as a failed call."""
    error = PeciaError.from_render_error(
        RenderError(
            code=3,
            message="bad",
            reason=ErrorReason.ERROR_REASON_PAYLOAD_INVALID,
            metadata={"field": "payload.stress"},
            field_violations=[RenderFieldViolation(field="payload.stress", description="is missing")],
        )
    )
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_INVALID", {"field": "payload.stress"})
    assert expected == (error.code, error.reason, error.metadata)
    assert error.violations == [("payload.stress", "is missing")]
    assert error.retry_after is None


def test_an_outcome_of_a_newer_server_is_decoded() -> None:
    """A code or a reason that this client does not know yet is no fault."""
    error = PeciaError.from_render_error(RenderError(code=99, message="new", reason=999))  # type: ignore[arg-type]  # a number from the future
    assert (error.code, error.reason) == (grpc.StatusCode.UNKNOWN, "")

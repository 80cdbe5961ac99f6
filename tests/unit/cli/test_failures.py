"""Every expected error ends in a line that says what to do, and in an exit code."""

import grpc
import pytest
from pecia_client import PeciaError
from pecia_service.cli.failures import ExitCode, Failure, explain
from pecia_service.errors import (
    AbortedError,
    DataLossError,
    Error,
    ErrorReason,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
    invalid_field,
)
from pecia_service.rendering.sources.directory import DirectoryError, Problem


@pytest.mark.parametrize(
    ("kind", "reason", "exit_code"),
    [
        (InvalidInputError, ErrorReason.FIELD_INVALID, ExitCode.INVALID),
        (NotFoundError, ErrorReason.BUNDLE_NOT_FOUND, ExitCode.REFUSED),
        (AbortedError, ErrorReason.ETAG_MISMATCH, ExitCode.REFUSED),
        (DataLossError, ErrorReason.PIECE_DAMAGED, ExitCode.REFUSED),
        (UnavailableError, ErrorReason.STORAGE_UNAVAILABLE, ExitCode.UNAVAILABLE),
    ],
)
def test_a_domain_error_has_its_reason_in_brackets(
    kind: type[Error], reason: ErrorReason, exit_code: ExitCode
) -> None:
    """The exit code follows from the kind."""
    assert explain(kind(reason, "do this")) == Failure(exit_code, f"do this [{reason.name}]")


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, ExitCode.INVALID),
        (grpc.StatusCode.FAILED_PRECONDITION, ExitCode.REFUSED),
        (grpc.StatusCode.INTERNAL, ExitCode.REFUSED),
        (grpc.StatusCode.UNAVAILABLE, ExitCode.UNAVAILABLE),
    ],
)
def test_a_server_s_error_is_shown_like_a_domain_error(code: grpc.StatusCode, exit_code: ExitCode) -> None:
    """The exit code follows from the status."""
    assert explain(PeciaError(code, "do this", reason="REASON")) == Failure(exit_code, "do this [REASON]")


@pytest.mark.parametrize(
    ("code", "message", "exit_code"),
    [
        (grpc.StatusCode.UNAVAILABLE, "can't reach the server; is it running", ExitCode.UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "try a larger --timeout", ExitCode.UNAVAILABLE),
        (grpc.StatusCode.UNIMPLEMENTED, "is no Pecia server", ExitCode.REFUSED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "the call failed", ExitCode.REFUSED),
    ],
)
def test_an_error_of_the_channel_says_what_to_look_at(
    code: grpc.StatusCode, message: str, exit_code: ExitCode
) -> None:
    """gRPC's own words follow on a line of their own."""
    failure = explain(PeciaError(code, "details"))
    assert [failure.exit_code, failure.details] == [exit_code, ("details",)]
    assert message in failure.message
    assert failure.message.endswith(f"[{code.name}]")


def test_who_reaches_nobody_is_reminded_of_tls() -> None:
    """A channel that speaks plainly to TLS, or shows no certificate, is told nothing else."""
    message = explain(PeciaError(grpc.StatusCode.UNAVAILABLE, "")).message
    assert ["needs --ca" in message, "also --client-certificate" in message] == [True, True]


def test_each_further_field_has_a_line() -> None:
    """The first is in the message already."""
    details = ("b: is missing",)
    of_server = PeciaError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "a: is wrong (and 1 more)",
        reason="FIELD_INVALID",
        violations=[("a", "is wrong"), ("b", "is missing")],
    )
    assert explain(of_server) == Failure(
        ExitCode.INVALID, "a: is wrong (and 1 more) [FIELD_INVALID]", details
    )


def test_a_single_field_is_not_said_twice() -> None:
    """The message names it already."""
    error = invalid_field(ErrorReason.SEMVER_INVALID, "semver", "is missing")
    assert explain(error) == Failure(ExitCode.INVALID, "semver: is missing [SEMVER_INVALID]")


def test_a_directory_s_problems_are_all_listed() -> None:
    """Each with its place."""
    problems = [Problem("a.md", "role", "is missing"), Problem("b.md", "", "is not YAML", 3, 1)]
    assert explain(DirectoryError(problems)) == Failure(
        ExitCode.INVALID,
        "the directory has faults",
        ("a.md: role: is missing", "b.md:3:1: is not YAML"),
    )


def test_an_error_of_the_system_names_the_file() -> None:
    """As the system words it."""
    error = PermissionError(13, "Permission denied", "out.jsonl")
    assert explain(error) == Failure(ExitCode.INVALID, "out.jsonl: Permission denied")


def test_an_unexpected_error_is_not_explained() -> None:
    """A fault of the program must not look like one of its user."""
    with pytest.raises(TypeError, match="ZeroDivisionError is not expected"):
        explain(ZeroDivisionError())

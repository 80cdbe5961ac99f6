"""Statuses: one for each kind of error, with its details, and never too large for a client's metadata."""

import base64
from typing import cast
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from pecia.v1 import error_reason_pb2
from pecia_service.errors import (
    AbortedError,
    AlreadyExistsError,
    DataLossError,
    Error,
    ErrorReason,
    FieldViolation,
    InternalError,
    InvalidInputError,
    Kind,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)
from pecia_service.server.status import (
    MAX_MESSAGE_LENGTH,
    MAX_METADATA_LENGTH,
    MAX_STATUS_BYTES,
    MAX_VIOLATIONS,
    STATUS_CODES,
    bounded_metadata,
    bounded_violations,
    internal_fault,
    shorten,
    to_status,
)

MAX_CLIENT_METADATA = 8 * 1024
ENTRY_OVERHEAD = 32
"""What HPACK counts for an entry beside its name and value (RFC 7541, section 4.1)."""

SUBCLASSES = [
    (InvalidInputError, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (AlreadyExistsError, grpc.StatusCode.ALREADY_EXISTS),
    (AbortedError, grpc.StatusCode.ABORTED),
    (PreconditionError, grpc.StatusCode.FAILED_PRECONDITION),
    (DataLossError, grpc.StatusCode.DATA_LOSS),
    (UnavailableError, grpc.StatusCode.UNAVAILABLE),
    (InternalError, grpc.StatusCode.INTERNAL),
]

WIDE = {
    "ascii": "a",
    "two": "\u00e9",
    "three": "\u20ac",
    "four": "\U0001f600",
    "control": "\n",
    "percent": "%",
}
METADATA_KEYS = ["field", "size", "limit", "template_id", "bundle_id", "semver"]


def details_of(status: status_pb2.Status, kind: type[Message]) -> list[Message]:
    """Return a status's details of one kind."""
    found = []
    for detail in status.details:
        message = kind()
        if detail.Unpack(message):
            found.append(message)
    return found


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """Return the only ErrorInfo of a status."""
    [info] = details_of(status, error_details_pb2.ErrorInfo)
    return cast("error_details_pb2.ErrorInfo", info)


def violations_of(status: status_pb2.Status) -> list[tuple[str, str]]:
    """Return the violations of the only BadRequest of a status."""
    [request] = details_of(status, error_details_pb2.BadRequest)
    violations = cast("error_details_pb2.BadRequest", request).field_violations
    return [(violation.field, violation.description) for violation in violations]


def metadata_size(status: status_pb2.Status) -> int:
    """Return what a client counts for the trailing metadata of a failed call."""
    entries = {
        "grpc-status": str(status.code),
        "grpc-message": quote(status.message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        "grpc-status-details-bin": base64.b64encode(status.SerializeToString()).decode(),
        ":status": "200",
        "content-type": "application/grpc",
    }
    return sum(len(name) + len(value) + ENTRY_OVERHEAD for name, value in entries.items())


def test_every_kind_has_its_status() -> None:
    """No kind is forgotten, and each has the status that is named like it."""
    assert {kind: grpc.StatusCode[kind.name] for kind in Kind} == STATUS_CODES


@pytest.mark.parametrize(("error", "code"), SUBCLASSES)
def test_kinds(error: type[Error], code: grpc.StatusCode) -> None:
    """Each family of errors becomes one status, with reason, domain and metadata."""
    status = to_status(error(ErrorReason.FIELD_INVALID, "Do this.", metadata={"field": "a.b"}))
    assert (code.value[0], "Do this.") == (status.code, status.message)
    info = info_of(status)
    assert ("FIELD_INVALID", "pecia", {"field": "a.b"}) == (info.reason, info.domain, dict(info.metadata))


@pytest.mark.parametrize("reason", ErrorReason)
def test_reasons_are_those_of_the_contract(reason: ErrorReason) -> None:
    """A reason is told by the name that the contract gives its number, without the prefix."""
    info = info_of(to_status(Error(reason, "x")))
    assert f"ERROR_REASON_{info.reason}" == error_reason_pb2.ErrorReason.Name(reason.value)


def test_no_reason_is_forgotten() -> None:
    """The contract's reasons and ours are the same, but for the one that is never answered."""
    assert len(ErrorReason) == len(error_reason_pb2.ErrorReason.values()) - 1


def test_details_of_a_plain_error() -> None:
    """Without violations and delay there is an ErrorInfo and nothing else."""
    status = to_status(NotFoundError(ErrorReason.BUNDLE_NOT_FOUND, "x"))
    assert 1 == len(status.details)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, (0, 0)), (1.5, (1, 500_000_000)), (3600.0, (3600, 0))]
)
def test_retry_info(seconds: float, expected: tuple[int, int]) -> None:
    """A delay becomes a RetryInfo, also when it is none at all."""
    status = to_status(UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "x", retry_after=seconds))
    [retry] = details_of(status, error_details_pb2.RetryInfo)
    delay = cast("error_details_pb2.RetryInfo", retry).retry_delay
    assert (expected, 2) == ((delay.seconds, delay.nanos), len(status.details))


def test_violations_in_order() -> None:
    """Violations are told in the order in which they were found."""
    pairs = [("a", "is bad"), ("b", "is worse"), ("a", "is bad again")]
    error = InvalidInputError(
        ErrorReason.FIELD_INVALID, "x", violations=[FieldViolation(*pair) for pair in pairs]
    )
    assert pairs == violations_of(to_status(error))


def test_at_most_32_violations() -> None:
    """Of more violations the first 32 are told."""
    violations = [FieldViolation(f"f{number}", "bad") for number in range(100)]
    error = InvalidInputError(ErrorReason.FIELD_INVALID, "x", violations=violations)
    told = violations_of(to_status(error))
    assert [f"f{number}" for number in range(MAX_VIOLATIONS)] == [field for field, _ in told]
    assert violations[:MAX_VIOLATIONS] == bounded_violations(error)


@pytest.mark.parametrize("character", WIDE.values(), ids=WIDE.keys())
@pytest.mark.parametrize("length", [100, 10_000])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_the_worst_status_fits(character: str, length: int, count: int) -> None:
    """However long and wide its texts are, a status fits, and tells at least one violation."""
    text = character * length
    error = InvalidInputError(
        ErrorReason.PAYLOAD_UNKNOWN_FIELDS,
        text,
        metadata=dict.fromkeys(METADATA_KEYS, text),
        violations=[FieldViolation(text, text)] * count,
        retry_after=86_400.5,
    )
    status = to_status(error)
    assert status.ByteSize() <= MAX_STATUS_BYTES
    assert metadata_size(status) <= MAX_CLIENT_METADATA
    assert METADATA_KEYS == sorted(info_of(status).metadata, key=METADATA_KEYS.index)
    assert min(count, 1) == len(violations_of(status)[:1] if count else [])


@given(
    st.text(max_size=600),
    st.lists(st.tuples(st.text(max_size=300), st.text(max_size=300)), max_size=40),
    st.dictionaries(st.sampled_from(METADATA_KEYS), st.text(max_size=300)),
)
def test_any_status_fits(message: str, violations: list[tuple[str, str]], metadata: dict[str, str]) -> None:
    """A status of whatever texts fits; what fits untouched stays untouched."""
    error = InvalidInputError(
        ErrorReason.TEXT_INVALID,
        message,
        metadata=metadata,
        violations=[FieldViolation(*pair) for pair in violations],
    )
    status = to_status(error)
    assert status.ByteSize() <= MAX_STATUS_BYTES
    assert metadata_size(status) <= MAX_CLIENT_METADATA
    if len(message.encode()) <= MAX_MESSAGE_LENGTH:
        assert message == status.message


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 5, ""),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "ab\u2026"),
        ("\u00e9\u00e9", 4, "\u00e9\u00e9"),
        ("\u00e9\u00e9\u00e9", 5, "\u00e9\u2026"),
        ("\u00e9\u00e9\u00e9", 4, "\u2026"),
        ("\U0001f600" * 3, 8, "\U0001f600\u2026"),
        ("a\ud800b", 5, "a?b"),
    ],
)
def test_shorten(text: str, limit: int, expected: str) -> None:
    """Text is cut between characters, to at most so many bytes with the ellipsis."""
    assert expected == shorten(text, limit)
    assert len(shorten(text, limit).encode()) <= limit


def test_long_identifiers_are_told_whole() -> None:
    """The longest identifier and version that there are need no cutting."""
    metadata = {"template_id": "t" * 255, "semver": "1.0.0-" + "x" * 249}
    assert metadata == bounded_metadata(NotFoundError(ErrorReason.TEMPLATE_NOT_FOUND, "x", metadata=metadata))
    assert MAX_METADATA_LENGTH > 255


def test_a_fault_tells_only_the_method() -> None:
    """What stands for a fault names the method and says where the details are."""
    error = internal_fault("/pecia.v1.PromptService/Render")
    assert (Kind.INTERNAL, ErrorReason.INTERNAL_FAULT) == (error.kind, error.reason)
    assert {"method": "/pecia.v1.PromptService/Render"} == error.metadata
    assert "the server failed; its log has the details" == error.message

"""Errors carry a reason, metadata for machines, and all that was found at once."""

import pytest
from pecia_service.errors import (
    MAX_FINDINGS,
    AbortedError,
    AlreadyExistsError,
    DataLossError,
    Error,
    ErrorReason,
    FieldViolation,
    Findings,
    InternalError,
    InvalidInputError,
    Kind,
    NotFoundError,
    PreconditionError,
    UnavailableError,
    invalid_field,
    size_exceeded,
)


def test_an_error_says_its_message() -> None:
    """The message is what str() gives; metadata and violations are copies."""
    metadata = {"a": "b"}
    error = Error(ErrorReason.INTERNAL_FAULT, "it broke", metadata=metadata, retry_after=1.5)
    metadata["a"] = "changed"
    assert str(error) == error.message == "it broke"
    assert error.metadata == {"a": "b"}
    assert error.violations == ()
    assert error.retry_after == 1.5


@pytest.mark.parametrize(
    ("error_class", "kind"),
    [
        (Error, Kind.INTERNAL),
        (InvalidInputError, Kind.INVALID_ARGUMENT),
        (NotFoundError, Kind.NOT_FOUND),
        (AlreadyExistsError, Kind.ALREADY_EXISTS),
        (AbortedError, Kind.ABORTED),
        (PreconditionError, Kind.FAILED_PRECONDITION),
        (DataLossError, Kind.DATA_LOSS),
        (UnavailableError, Kind.UNAVAILABLE),
        (InternalError, Kind.INTERNAL),
    ],
)
def test_each_class_is_of_one_kind(error_class: type[Error], kind: Kind) -> None:
    """The edge maps kinds and needs not know classes."""
    assert error_class.kind is kind
    assert issubclass(error_class, Error)


def test_invalid_field_names_field_and_remedy() -> None:
    """A bad field is one violation, and metadata beside its path."""
    error = invalid_field(ErrorReason.FIELD_INVALID, "page_size", "must not be negative", got="-1")
    assert error.message == "page_size: must not be negative"
    assert error.metadata == {"field": "page_size", "got": "-1"}
    assert error.violations == (FieldViolation("page_size", "must not be negative"),)


def test_size_exceeded_tells_size_and_limit() -> None:
    """Size and limit are in the metadata, as text."""
    error = size_exceeded("task", "bytes", 11, 10)
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.message == "task: has 11 bytes; at most 10 are allowed"
    assert error.metadata == {"field": "task", "size": "11", "limit": "10"}


def test_no_findings_raise_nothing() -> None:
    """A block that raises nothing leaves no finding."""
    findings = Findings()
    with findings.gather():
        pass
    assert findings.raise_if_any() is None  # type: ignore[func-returns-value]  # that it returns is the point


def test_one_finding_is_raised_as_it_is() -> None:
    """A single error stays the very error that was found."""
    error = size_exceeded("task", "bytes", 11, 10)
    findings = Findings()
    findings.add(error)
    with pytest.raises(InvalidInputError) as caught:
        findings.raise_if_any()
    assert caught.value is error


def test_several_findings_become_one_error() -> None:
    """The first error gives reason and metadata, all give their violations, in order."""
    findings = Findings()
    findings.add(size_exceeded("a", "bytes", 2, 1))
    with findings.gather():
        raise invalid_field(ErrorReason.FIELD_INVALID, "b", "is missing")
    inner = Findings()
    inner.add(invalid_field(ErrorReason.FIELD_INVALID, "c", "is missing"))
    inner.add(invalid_field(ErrorReason.FIELD_INVALID, "d", "is missing"))
    with findings.gather():
        inner.raise_if_any()
    with pytest.raises(InvalidInputError) as caught:
        findings.raise_if_any()
    error = caught.value
    assert error.reason is ErrorReason.SIZE_EXCEEDED
    assert error.message == "a: has 2 bytes; at most 1 are allowed (and 3 more)"
    assert error.metadata == {"field": "a", "size": "2", "limit": "1"}
    assert [violation.field for violation in error.violations] == ["a", "b", "c", "d"]


def test_findings_of_findings_are_counted_once() -> None:
    """The message of an error that was gathered from several does not repeat its own count."""
    inner = Findings()
    for field in ("a", "b"):
        inner.add(invalid_field(ErrorReason.FIELD_INVALID, field, "is missing"))
    outer = Findings()
    with outer.gather():
        inner.raise_if_any()
    outer.add(invalid_field(ErrorReason.FIELD_INVALID, "c", "is missing"))
    with pytest.raises(InvalidInputError) as caught:
        outer.raise_if_any()
    assert caught.value.message == "a: is missing (and 2 more)"


def test_findings_do_not_swallow_other_errors() -> None:
    """Only errors of input are gathered; a fault goes through."""
    findings = Findings()
    with pytest.raises(NotFoundError), findings.gather():
        raise NotFoundError(ErrorReason.BUNDLE_NOT_FOUND, "gone")
    with pytest.raises(ZeroDivisionError), findings.gather():
        _ = 1 / 0
    findings.raise_if_any()


def test_findings_are_kept_up_to_a_bound_and_counted_beyond() -> None:
    """A thousand faults cost what thirty-two cost, and the message says how many there are."""
    findings = Findings()
    for number in range(1000):
        findings.add(invalid_field(ErrorReason.FIELD_INVALID, f"tags[{number}]", "is empty; leave it out"))
    with pytest.raises(InvalidInputError) as caught:
        findings.raise_if_any()
    assert len(caught.value.violations) == MAX_FINDINGS
    assert caught.value.message == "tags[0]: is empty; leave it out (and 999 more)"

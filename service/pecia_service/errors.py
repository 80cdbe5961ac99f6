"""One base for every error that a caller can see, and the catalogue of their reasons."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar


class ErrorReason(enum.Enum):
    """Why a request failed; names (without prefix) and numbers are those of `pecia.v1.ErrorReason`."""

    REQUEST_MALFORMED = enum.auto()
    FIELD_INVALID = enum.auto()
    IDENTIFIER_INVALID = enum.auto()
    SEMVER_INVALID = enum.auto()
    TEXT_INVALID = enum.auto()
    SIZE_EXCEEDED = enum.auto()
    PAYLOAD_INVALID = enum.auto()
    PAYLOAD_UNKNOWN_FIELDS = enum.auto()
    KEY_COLLISION = enum.auto()
    TEMPLATE_SYNTAX = enum.auto()
    CONSTRAINTS_INVALID = enum.auto()
    PAGE_TOKEN_INVALID = enum.auto()
    TEMPLATE_NOT_FOUND = enum.auto()
    BUNDLE_NOT_FOUND = enum.auto()
    LABEL_NOT_FOUND = enum.auto()
    AUDIT_RECORD_NOT_FOUND = enum.auto()
    TEMPLATE_ALREADY_EXISTS = enum.auto()
    BUNDLE_ALREADY_EXISTS = enum.auto()
    REQUEST_ID_REUSED = enum.auto()
    ETAG_MISMATCH = enum.auto()
    TEMPLATE_REFERENCE_MISSING = enum.auto()
    PLACEHOLDER_UNRESOLVED = enum.auto()
    BUNDLE_UNSUPPORTED_MODEL = enum.auto()
    PROMPT_TOO_LARGE = enum.auto()
    LABEL_HISTORY_EXHAUSTED = enum.auto()
    AUDIT_DISABLED = enum.auto()
    PIECE_DAMAGED = enum.auto()
    STORAGE_UNAVAILABLE = enum.auto()
    AUDIT_RECORD_PENDING = enum.auto()
    INTERNAL_FAULT = enum.auto()
    CREDENTIALS_MISSING = enum.auto()
    CREDENTIALS_INVALID = enum.auto()
    CREDENTIALS_EXPIRED = enum.auto()
    CREDENTIALS_REVOKED = enum.auto()
    SCOPE_MISSING = enum.auto()
    TOO_MANY_REQUESTS = enum.auto()
    DEADLINE_PASSED = enum.auto()
    AUDIT_FULL = enum.auto()
    TEMPLATE_ERASED = enum.auto()
    SERVER_STOPPING = enum.auto()


class Kind(enum.Enum):
    """The family of an error; each is one gRPC status, named alike."""

    INVALID_ARGUMENT = enum.auto()
    NOT_FOUND = enum.auto()
    ALREADY_EXISTS = enum.auto()
    ABORTED = enum.auto()
    FAILED_PRECONDITION = enum.auto()
    DATA_LOSS = enum.auto()
    UNAVAILABLE = enum.auto()
    INTERNAL = enum.auto()
    UNAUTHENTICATED = enum.auto()
    PERMISSION_DENIED = enum.auto()
    RESOURCE_EXHAUSTED = enum.auto()
    DEADLINE_EXCEEDED = enum.auto()


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One bad field: its path from the request's top, and what to do about it."""

    field: str
    description: str


class Error(Exception):
    """An error with a reason, metadata for machines, and a message that says what to do.

    `metadata` holds names, paths, limits and sizes, never text of a payload or prompt. `retry_after` is in
    seconds and set only where the same request may succeed later.
    """

    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(
        self,
        reason: ErrorReason,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after


class InvalidInputError(Error):
    """The request is wrong whatever the state of the service."""

    kind = Kind.INVALID_ARGUMENT


class NotFoundError(Error):
    """A named thing does not exist."""

    kind = Kind.NOT_FOUND


class AlreadyExistsError(Error):
    """A name is taken by something else."""

    kind = Kind.ALREADY_EXISTS


class AbortedError(Error):
    """Somebody else was faster; read again and decide anew."""

    kind = Kind.ABORTED


class PreconditionError(Error):
    """The request is well-formed, but the state of the pieces does not allow it."""

    kind = Kind.FAILED_PRECONDITION


class DataLossError(Error):
    """Something stored is not what was stored."""

    kind = Kind.DATA_LOSS


class UnavailableError(Error):
    """Try again after `retry_after` seconds."""

    kind = Kind.UNAVAILABLE


class InternalError(Error):
    """A fault of the service."""

    kind = Kind.INTERNAL


class UnauthenticatedError(Error):
    """Nobody knows who calls."""

    kind = Kind.UNAUTHENTICATED


class PermissionDeniedError(Error):
    """The caller is known, and may not do this."""

    kind = Kind.PERMISSION_DENIED


class ResourceExhaustedError(Error):
    """A bound is reached that others' work makes room in; try again after `retry_after` seconds."""

    kind = Kind.RESOURCE_EXHAUSTED


class DeadlineError(Error):
    """The time for the call is over."""

    kind = Kind.DEADLINE_EXCEEDED


def invalid_field(reason: ErrorReason, field: str, description: str, **metadata: str) -> InvalidInputError:
    """Make the error for one bad field; `metadata` is added to the field's path."""
    return InvalidInputError(
        reason,
        f"{field}: {description}",
        metadata={"field": field, **metadata},
        violations=[FieldViolation(field, description)],
    )


def size_exceeded(field: str, what: str, size: int, limit: int) -> InvalidInputError:
    """Make the error for something larger than its limit; `what` names the unit, as in "bytes"."""
    return invalid_field(
        ErrorReason.SIZE_EXCEEDED,
        field,
        f"has {size} {what}; at most {limit} are allowed",
        size=str(size),
        limit=str(limit),
    )


MAX_FINDINGS = 32
"""How many errors are told at once; a caller who sends more learns how many there are."""


class Findings:
    """Gather several input errors, so that a caller sees all of them at once, up to 32."""

    def __init__(self) -> None:
        self._errors: list[InvalidInputError] = []
        self._left_out = 0

    def add(self, error: InvalidInputError) -> None:
        """Keep one more error, or count it when there are enough."""
        if len(self._errors) < MAX_FINDINGS:
            self._errors.append(error)
        else:
            self._left_out += 1

    def gather(self) -> AbstractContextManager[None, bool]:
        """Keep an InvalidInputError that the block raises, and go on after the block."""
        return _Gathering(self)

    def raise_if_any(self) -> None:
        """Raise the first error's reason with the violations of all; return when there are none."""
        if not self._errors:
            return
        first = self._errors[0]
        if len(self._errors) == 1:
            raise first
        violations = [violation for error in self._errors for violation in error.violations]
        others = len(violations) - 1 + self._left_out
        raise InvalidInputError(
            first.reason,
            f"{violations[0].field}: {violations[0].description} (and {others} more)",
            metadata=first.metadata,
            violations=violations,
        )


class _Gathering(AbstractContextManager[None, bool]):
    """One block that errors are gathered from; a generator for each would cost more than most checks do."""

    __slots__ = ("_findings",)

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def __enter__(self) -> None:
        return

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, InvalidInputError):
            return False
        self._findings.add(error)
        return True

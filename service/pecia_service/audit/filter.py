"""Which audit records a caller asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pecia_service.errors import ErrorReason, Findings, invalid_field
from pecia_service.registry.identifiers import require_identifier, require_semver

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Selects audit records; what is None or empty selects all. Make it with `create`.

    Records made at `start` or later and before `end`, both in microseconds since the epoch.
    """

    start: int | None = None
    end: int | None = None
    bundle_id: str = ""
    semver: str = ""
    prompt_hash: str = ""

    @classmethod
    def create(
        cls,
        *,
        start: int | None = None,
        end: int | None = None,
        bundle_id: str = "",
        semver: str = "",
        prompt_hash: str = "",
        field: str = "filter",
    ) -> AuditFilter:
        """Check a filter; `field` is its path in the request.

        Raises InvalidInputError with all that is wrong: IDENTIFIER_INVALID, SEMVER_INVALID, FIELD_INVALID for
        a version without its bundle and for a hash that is none.
        """
        findings = Findings()
        if bundle_id:
            with findings.gather():
                require_identifier(bundle_id, f"{field}.bundle_id")
        if semver:
            with findings.gather():
                require_semver(semver, f"{field}.semver")
                if not bundle_id:
                    raise invalid_field(
                        ErrorReason.FIELD_INVALID, f"{field}.semver", "needs bundle_id; give both"
                    )
        if prompt_hash:
            with findings.gather():
                require_digest(prompt_hash, f"{field}.prompt_hash")
        findings.raise_if_any()
        return cls(start, end, bundle_id, semver, prompt_hash)


def require_digest(value: str, field: str) -> str:
    """Return a lower-case hex SHA-256, or raise InvalidInputError (FIELD_INVALID)."""
    if _DIGEST.fullmatch(value):
        return value
    raise invalid_field(ErrorReason.FIELD_INVALID, field, "must be a SHA-256 of 64 lower-case hex digits")

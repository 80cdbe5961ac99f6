"""Filters of audit records."""

import pytest
from pecia_service.audit.filter import AuditFilter
from pecia_service.errors import ErrorReason, InvalidInputError


def test_an_empty_filter_selects_all() -> None:
    """Nothing given means nothing wanted in particular."""
    assert AuditFilter.create() == AuditFilter()


def test_a_filter_keeps_what_it_is_given() -> None:
    """A well-formed filter is taken as it is."""
    made = AuditFilter.create(start=1, end=2, bundle_id="b", semver="1.0.0", prompt_hash="a" * 64)
    assert made == AuditFilter(1, 2, "b", "1.0.0", "a" * 64)


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"bundle_id": "no such"}, "filter.bundle_id", ErrorReason.IDENTIFIER_INVALID),
        ({"bundle_id": "b", "semver": "1"}, "filter.semver", ErrorReason.SEMVER_INVALID),
        ({"semver": "1.0.0"}, "filter.semver", ErrorReason.FIELD_INVALID),
        ({"prompt_hash": "A" * 64}, "filter.prompt_hash", ErrorReason.FIELD_INVALID),
        ({"prompt_hash": "a" * 63}, "filter.prompt_hash", ErrorReason.FIELD_INVALID),
        ({"prompt_hash": "a" * 64 + "\n"}, "filter.prompt_hash", ErrorReason.FIELD_INVALID),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, str], field: str, reason: ErrorReason) -> None:
    """A bad filter is refused with the path of the field."""
    with pytest.raises(InvalidInputError) as caught:
        AuditFilter.create(**fields)  # type: ignore[arg-type] # only the fields that are text
    assert (caught.value.reason, [violation.field for violation in caught.value.violations]) == (
        reason,
        [field],
    )


def test_all_that_is_wrong_is_named_at_once() -> None:
    """A caller corrects a filter in one go."""
    with pytest.raises(InvalidInputError) as caught:
        AuditFilter.create(bundle_id="!", semver="!", prompt_hash="!", field="f")
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["f.bundle_id", "f.semver", "f.prompt_hash"]

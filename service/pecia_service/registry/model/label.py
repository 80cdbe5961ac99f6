"""Labels and their history, and how a label moves through it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pecia_service.canonical import canonical_json, sha256_hex
from pecia_service.errors import AbortedError, DataLossError, Error, ErrorReason, PreconditionError


class LabelAction(enum.Enum):
    """What happened to a label; the value is the canonical name."""

    SET = "set"
    ROLL_BACK = "roll_back"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Label:
    """A name that points from a bundle to one exact version.

    `etag` is opaque and changes each time the label moves; it is empty where the stored label has no place in
    a history. `updated_at` is in microseconds since the epoch.
    """

    bundle_id: str
    label: str
    semver: str
    etag: str
    updated_at: int
    updated_by: str


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """One entry of a label's history; versions are empty where the label did not exist.

    `revision` counts from 1 for each label. `action` is None where what is stored is none. `occurred_at` is
    in microseconds since the epoch.
    """

    bundle_id: str
    label: str
    revision: int
    action: LabelAction | None
    from_semver: str
    to_semver: str
    actor: str
    occurred_at: int


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """A place in a label's history: the set event `revision`, what it points to, and the entry before it.

    The history is a tree: `previous` of a set after a roll-back is the entry that it found; None is the root.
    """

    revision: int
    semver: str
    previous: int | None


@dataclass(frozen=True, slots=True)
class LabelMove:
    """What is asked of a label.

    `etag`: None means whatever is there, empty that the label must not exist. `semver` is for a set only.
    `request_id` may be empty. `occurred_at` is in microseconds since the epoch.
    """

    action: LabelAction
    bundle_id: str
    label: str
    semver: str
    etag: str | None
    actor: str
    request_id: str
    occurred_at: int

    @property
    def request_hash(self) -> str:
        """What is asked, digested, so that a reused request id is told from a retry."""
        return sha256_hex(
            canonical_json([self.action.value, self.bundle_id, self.label, self.semver, self.etag])
        )

    def check_etag(self, current: str) -> None:
        """Raise AbortedError (ETAG_MISMATCH) unless the label may have the etag `current`, empty for none."""
        if self.etag not in (None, current):
            raise AbortedError(
                ErrorReason.ETAG_MISMATCH,
                f"label {self.label} of bundle {self.bundle_id} moved since its etag was read; "
                "read it again and decide anew",
                metadata={"bundle_id": self.bundle_id, "label": self.label},
            )


def label_etag(bundle_id: str, label: str, revision: int) -> str:
    """Return the etag of a label that stands at an event of its history."""
    return sha256_hex(canonical_json([bundle_id, label, revision]))[:32]


def history_exhausted(bundle_id: str, label: str) -> Error:
    """Make the error for a roll-back from the first entry of a history."""
    return PreconditionError(
        ErrorReason.LABEL_HISTORY_EXHAUSTED,
        f"label {label} of bundle {bundle_id} has no version before the current one; set it instead",
        metadata={"bundle_id": bundle_id, "label": label},
    )


def damaged_label(bundle_id: str, label: str) -> DataLossError:
    """Make the error for a label that can't be moved because its rows were changed."""
    return DataLossError(
        ErrorReason.PIECE_DAMAGED,
        f"the stored history of label {label} of bundle {bundle_id} is not what its moves left; "
        "restore it from a backup, or use another label",
        metadata={"piece": "label", "part": "history", "id": bundle_id, "label": label},
    )

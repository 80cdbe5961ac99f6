"""Labels and their history."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class LabelAction(enum.Enum):
    """What happened to a label; the value is the canonical name."""

    SET = "set"
    ROLL_BACK = "roll_back"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Label:
    """A name that points from a bundle to one exact version.

    `etag` is opaque and changes each time the label moves. `updated_at` is in microseconds since the epoch.
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

    `revision` counts from 1 for each label. `occurred_at` is in microseconds since the epoch.
    """

    bundle_id: str
    label: str
    revision: int
    action: LabelAction
    from_semver: str
    to_semver: str
    actor: str
    occurred_at: int

"""What one label, and one version of a bundle, may answer: models for checking recorded histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Step: TypeAlias = "Callable[[LabelState], LabelState | None]"


@dataclass(frozen=True)
class LabelState:
    """Where a label is: its etag, and the versions that rolling back walks through, the current one last."""

    etag: str = ""
    history: tuple[str, ...] = ()

    @property
    def semver(self) -> str:
        """The version that the label points to; empty when there is no label."""
        return self.history[-1] if self.history else ""


NO_LABEL: Final = LabelState()


def was_set(semver: str, expected: str | None, etag: str) -> Step:
    """Step for a set to a version that expected an etag (None: any) and was answered the new one."""

    def step(state: LabelState) -> LabelState | None:
        if expected is not None and expected != state.etag:
            return None
        if state.semver == semver:
            return state if etag == state.etag else None
        return LabelState(etag, (*state.history, semver)) if etag != state.etag else None

    return step


def was_rolled_back(expected: str, semver: str, etag: str) -> Step:
    """Step for a roll-back that was answered the version before and a new etag."""

    def step(state: LabelState) -> LabelState | None:
        if expected != state.etag or len(state.history) < 2 or etag == state.etag:
            return None
        return LabelState(etag, state.history[:-1]) if state.history[-2] == semver else None

    return step


def was_exhausted(expected: str) -> Step:
    """Step for a roll-back that found nothing before the current version."""
    return lambda state: state if expected == state.etag and len(state.history) == 1 else None


def was_deleted(expected: str) -> Step:
    """Step for a deletion that expected an etag (empty: any)."""
    return lambda state: NO_LABEL if state.history and expected in {"", state.etag} else None


def was_mismatch(expected: str) -> Step:
    """Step for a change that was refused because the label had not the expected etag, or was not there."""
    return lambda state: state if expected != state.etag else None


def was_absent() -> Step:
    """Step for a call that found no label."""
    return lambda state: None if state.history else state


def was_read(semver: str, etag: str | None = None) -> Step:
    """Step for a read that was answered a version, and an etag if it is given."""
    return lambda state: state if semver == state.semver and etag in {None, state.etag} else None


def was_published(digest: str) -> Callable[[str], str | None]:
    """Step for a publication that succeeded, the first one or the same again; the state is the digest."""
    return lambda state: digest if state in {"", digest} else None


def was_refused(digest: str) -> Callable[[str], str | None]:
    """Step for a publication that was refused because the version has another definition."""
    return lambda state: state if state not in {"", digest} else None


def was_found(digest: str) -> Callable[[str], str | None]:
    """Step for a read of a version; an empty digest means that there was none."""
    return lambda state: state if state == digest else None

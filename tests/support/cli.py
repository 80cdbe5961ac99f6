"""The command line, run in this process, and small directories of pieces for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from pecia_service.cli.main import cli
from pecia_service.cli.session import Session
from pecia_service.settings import CLIENT_VARIABLES

NOW = datetime(2026, 11, 21, 8, 30, 0, 123456, tzinfo=UTC)
PAYLOAD = {
    "semantic_traits": {"mood": "calm"},
    "activity_level": 0.5,
    "stress": 0.25,
    "task": "Plan the day.",
}
CONTENTS = {
    "system": "You are Juna. {{constraints}}",
    "personality": "Mood: {{semantic_traits.mood}}.",
    "activity": "Activity {{activity_level}}, stress {{stress}}.",
    "task": "Do this: {{task}}",
}


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it wrote to stdout, as JSON."""
        return json.loads(self.stdout)


def run_cli(
    *arguments: str | Path,
    stdin: str | bytes = b"",
    session: Session | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run `pecia` with arguments; what it does not expect to fail is raised here.

    Time stands still at NOW, and waiting takes none, unless a session says otherwise.
    """
    session = session or Session(now=lambda: NOW, monotonic=lambda: 0.0, sleep=lambda _: None)
    unset = dict.fromkeys(("PECIA_DATABASE_URL", *CLIENT_VARIABLES))
    runner = CliRunner(env={**unset, **(environment or {})})
    result = runner.invoke(
        cli, [str(argument) for argument in arguments], input=stdin, obj=session, catch_exceptions=False
    )
    return Ran(result.exit_code, result.stdout, result.stderr)


def write_template(
    root: Path, template_id: str, content: str, *, semver: str = "1.0.0", head: str = "role: system"
) -> Path:
    """Write a template's file below `root`."""
    path = root / "templates" / template_id / f"{semver}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"---\n{head}\n---\n{content}".encode())
    return path


def write_bundle(
    root: Path,
    bundle_id: str = "companion",
    *,
    semver: str = "1.0.0",
    slots: Mapping[str, str] | None = None,
    rest: str = "tags: [gpt-4o]",
) -> Path:
    """Write a bundle's file below `root`; slots that are not given name SLOT@1.0.0."""
    path = root / "bundles" / bundle_id / semver / "bundle.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    refs = {slot: f"{slot}@1.0.0" for slot in CONTENTS} | dict(slots or {})
    lines = "".join(f"  {slot}: {ref}\n" for slot, ref in refs.items())
    path.write_bytes(f"slots:\n{lines}{rest}\n".encode())
    return path


def write_pieces(root: Path, contents: Mapping[str, str] | None = None) -> Path:
    """Write companion@1.0.0 with its four templates below `root`, and return `root`."""
    for slot, content in (CONTENTS | dict(contents or {})).items():
        write_template(root, slot, content)
    write_bundle(root)
    return root


def write_payload(root: Path, **fields: Any) -> Path:
    """Write a payload's file into `root`; what is not given is an ordinary value."""
    path = root / "payload.json"
    path.write_bytes(json.dumps(PAYLOAD | fields, ensure_ascii=False).encode())
    return path

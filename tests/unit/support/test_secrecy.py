"""The watch over logs and errors finds what it is there to find."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkout import PYTHONPATH
from support.secrecy import FOLDER_VARIABLE, Leak, Notebook, find_leaks

TASK = "Plan the evening, and tell nobody."

PROGRAM = f"""
import structlog
from pecia_service import logs
from pecia_service.access.keys import ApiKey
from pecia_service.errors import ErrorReason, invalid_field
from pecia_service.rendering.payload import Payload

payload = Payload.create(semantic_traits={{}}, activity_level=0, stress=0, task={TASK!r})
key = ApiKey.make("default", "01998d2e-6a5f-7c39-8f7a-0d5f2b1c9e44", bytes(range(32)))
logs.configure("info", "json")
log = structlog.get_logger()
"""


def run(folder: Path, what: str) -> list[tuple[str, str]]:
    """Return the kinds and places of leaks that a program of its own has."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, FOLDER_VARIABLE: str(folder)}
    subprocess.run([sys.executable, "-c", PROGRAM + what], env=environment, check=True, capture_output=True)
    return [(leak.kind, leak.where) for leak in find_leaks(folder).leaks]


@pytest.mark.parametrize(
    ("what", "leaks"),
    [
        ("log.info('rendered', bundle='companion')", set()),
        ("log.info('rendered', task=payload.task)", {("payload", "log")}),
        ("log.warning('refused', key=key.text)", {("key", "log")}),
        ("invalid_field(ErrorReason.FIELD_INVALID, 'task', payload.task)", {("payload", "error")}),
        ("invalid_field(ErrorReason.FIELD_INVALID, 'task', 'is bad', key=key.secret)", {("key", "error")}),
    ],
    ids=["clean", "payload-logged", "key-logged", "payload-told", "key-told"],
)
def test_a_leak_of_a_process_is_found(tmp_path: Path, what: str, leaks: set[tuple[str, str]]) -> None:
    """What a started process logs or raises is compared with what it knows."""
    assert set(run(tmp_path, what)) == leaks


def test_what_one_process_knows_is_looked_for_in_all(tmp_path: Path) -> None:
    """A prompt of one process in a log line of another is found, escaped as JSON too."""
    Notebook(tmp_path).secret("prompt", 'You are "calm", and\nhonest.')
    (tmp_path / "0.jsonl").write_text(
        '["said:log", "{\\"text\\": \\"You are \\\\\\"calm\\\\\\", and\\\\nhonest.\\"}"]\n'
    )
    assert find_leaks(tmp_path).leaks == [
        Leak("prompt", "log", '{"text": "You are \\"calm\\", and\\nhonest."}')
    ]


def test_short_texts_and_blanks_are_not_looked_for(tmp_path: Path) -> None:
    """What can stand anywhere by chance is no sample."""
    notebook = Notebook(tmp_path)
    for text in ["calm", "CREDENTIALS_MISSING", "x" * 100, " " * 20]:
        notebook.secret("payload", text)
    assert find_leaks(tmp_path).secrets == {}

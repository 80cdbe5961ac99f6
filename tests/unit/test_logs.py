"""Logs: JSON lines for machines, plain text on a terminal, and no locals in either."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from pecia_service import logs


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(level: str, form: str, stream: io.StringIO | None = None) -> str:
    """Log one event at each level, the last with an exception, and return what was written."""
    out = stream or io.StringIO()
    logs.configure(level, form, out)
    log = structlog.get_logger("pecia.test")
    log.debug("a debug")
    log.info("an info", number=1, text="\u00e9\n\U0001f600")
    log.warning("a warning")
    try:
        fail("my-secret-prompt")
    except ValueError as error:
        log.error("an error", exc_info=error)
    return out.getvalue()


def fail(prompt: str) -> None:
    """Fail while holding a prompt."""
    hidden = prompt.upper()
    raise ValueError(f"of {len(hidden)} characters")


def test_json_lines() -> None:
    """Each event is one line of JSON with its time in UTC, its level and its values."""
    events = [json.loads(line) for line in logged("debug", "json").splitlines()]
    assert ["debug", "info", "warning", "error"] == [event["level"] for event in events]
    assert ["a debug", "an info", "a warning", "an error"] == [event["event"] for event in events]
    assert (1, "\u00e9\n\U0001f600") == (events[1]["number"], events[1]["text"])
    assert [True] * 4 == [event["timestamp"].endswith("Z") for event in events]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_least_level(level: str, expected: list[str]) -> None:
    """What is below the level is not written."""
    lines = logged(level, "json").splitlines()
    assert expected == [json.loads(line)["level"] for line in lines]


def test_json_tracebacks_without_locals() -> None:
    """A traceback has type, message and frames, and nothing that the frames held."""
    line = logged("error", "json")
    [exception] = json.loads(line)["exception"]
    assert ("ValueError", "of 16 characters") == (exception["exc_type"], exception["exc_value"])
    assert "fail" == exception["frames"][-1]["name"]
    assert [False, False] == ["my-secret" in line, "MY-SECRET" in line]


@pytest.mark.parametrize("terminal", [False, True])
def test_console(terminal: bool) -> None:
    """The console form is text, coloured on a terminal only, with a plain traceback and no locals."""
    text = logged("info", "console", Terminal() if terminal else io.StringIO())
    assert [True, True, True] == [
        part in text for part in ("an info", "Traceback (most recent call last)", "ValueError: of 16")
    ]
    assert [terminal, False, False] == ["\x1b[" in text, "my-secret-prompt'" in text, "MY-SECRET" in text]


def test_auto() -> None:
    """Auto is console on a terminal, and JSON anywhere else."""
    assert "{" == logged("info", "auto")[0]
    assert "\x1b" == logged("info", "auto", Terminal())[0]


def test_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream, logs go to standard error, and nothing goes to standard output."""
    logs.configure("info", "json")
    structlog.get_logger().info("hello")
    captured = capsys.readouterr()
    assert ("", "hello") == (captured.out, json.loads(captured.err)["event"])


def test_configuring_again_counts() -> None:
    """A logger that was made before is bound by what is configured later."""
    log = structlog.get_logger("early")
    first, second = io.StringIO(), io.StringIO()
    logs.configure("info", "json", first)
    log.info("one")
    logs.configure("error", "json", second)
    log.info("two")
    log.error("three")
    assert (1, "three") == (len(first.getvalue().splitlines()), json.loads(second.getvalue())["event"])


class Writes(io.StringIO):
    """A stream that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        """Keep what is written."""
        self.writes.append(text)
        return super().write(text)


def test_a_line_is_one_write() -> None:
    """Several workers write to one stream; a line of one must not end up within another's."""
    out = Writes()
    logs.configure("info", "json", out)
    structlog.get_logger().info("hello")
    assert [out.getvalue()] == out.writes
    assert "hello" == json.loads(out.writes[0])["event"]


def test_fields_are_in_every_line() -> None:
    """A worker's number, for example; what a line says itself counts more."""
    out = io.StringIO()
    logs.configure("info", "json", out, fields={"worker": 3, "event": "?"})
    structlog.get_logger().info("one")
    structlog.get_logger().info("two", worker=4)
    assert [("one", 3), ("two", 4)] == [
        (line["event"], line["worker"]) for line in map(json.loads, out.getvalue().splitlines())
    ]

"""Logs: JSON lines for machines, plain text on a terminal, and no locals in either."""

import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace

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
    raise ValueError(hidden)


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


def test_json_tracebacks_have_no_text() -> None:
    """A traceback has types and frames, and nothing that the frames held or the exception said."""
    line = logged("error", "json")
    [exception] = json.loads(line)["exception"]
    assert {"exc_type", "frames"} == set(exception)
    assert ("ValueError", "fail") == (exception["exc_type"], exception["frames"][-1]["name"])
    assert [False, False] == ["my-secret-prompt" in line, "MY-SECRET" in line]


@pytest.mark.parametrize("terminal", [False, True])
def test_console(terminal: bool) -> None:
    """The console form is text, coloured on a terminal only; its tracebacks have no text either."""
    text = logged("info", "console", Terminal() if terminal else io.StringIO())
    assert [True, True, True] == [
        part in text for part in ("an info", "Traceback (most recent call last)", "\nValueError\n")
    ]
    assert [terminal, False] == ["\x1b[" in text, "MY-SECRET" in text]


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_led_to_an_exception_is_told(form: str) -> None:
    """Those before it too, each without its text; one that was hidden on purpose is left out."""
    out = io.StringIO()
    logs.configure("info", form, out)
    secret = "my-secret-prompt".upper()
    try:
        try:
            try:
                fail(secret)
            except ValueError:
                raise KeyError(secret) from None
        except KeyError as error:
            raise RuntimeError(secret) from error
    except RuntimeError as error:
        structlog.get_logger().error("failed", exc_info=error)
    told = [name for name in ("RuntimeError", "KeyError", "ValueError") if name + '"' in out.getvalue()]
    if form == "console":
        told = [line for line in reversed(out.getvalue().splitlines()) if line.endswith("Error")]
    assert ["RuntimeError", "KeyError"] == told
    assert "MY-SECRET" not in out.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_request_id_is_on_each_line_of_a_call(form: str) -> None:
    """And on no other."""
    out = io.StringIO()
    logs.configure("info", form, out)
    log = structlog.get_logger()
    log.info("before")
    token = logs.CURRENT_CALL.set(SimpleNamespace(request_id="an-id"))
    log.info("during")
    logs.CURRENT_CALL.reset(token)
    log.info("after")
    assert [False, True, False] == ["an-id" in line for line in out.getvalue().splitlines()]


def test_what_libraries_log_has_the_same_form() -> None:
    """Warnings and worse, one line each; what asyncio tells of a failed task keeps its text to itself."""
    out = io.StringIO()
    logs.configure("info", "json", out)
    root = logging.getLogger()
    before = list(root.handlers)
    logs.adopt_standard_logging()
    try:
        library = logging.getLogger("a.library")
        library.info("an info")
        library.warning("a %s", "warning")
        try:
            fail("my-secret-prompt")
        except ValueError as error:
            library.error("a task failed\nfuture: <Task MY-SECRET>", exc_info=error)
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [("a warning", "warning", "a.library"), ("a task failed", "error", "a.library")] == [
        (line["event"], line["level"], line["logger"]) for line in lines
    ]
    assert ["ValueError"] == [item["exc_type"] for item in lines[1]["exception"]]
    assert "MY-SECRET" not in out.getvalue()


def test_a_client_that_left_is_no_error_of_a_library() -> None:
    """Clients leave all the time; whatever else gRPC says stays as it is."""
    out = io.StringIO()
    logs.configure("debug", "json", out)
    root = logging.getLogger()
    before = list(root.handlers)
    logs.adopt_standard_logging()
    try:
        library = logging.getLogger("grpc._cython.cygrpc")
        try:
            fail("nothing")
        except ValueError:
            library.exception("ExecuteBatchError raised in core by servicer method [/a/B]")
            library.exception("Unexpected [ValueError] raised by servicer method [/a/B]")
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [("debug", False), ("error", True)] == [(line["level"], "exception" in line) for line in lines]


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

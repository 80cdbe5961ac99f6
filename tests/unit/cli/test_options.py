"""How the text of options is read."""

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest
from click.testing import CliRunner
from pecia_service.cli.documents import document
from pecia_service.cli.failures import InputError
from pecia_service.cli.main import cli
from pecia_service.cli.options import AGE, BUNDLE_REF, MOMENT, TEMPLATE_REF, confirm, make_filter


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("0s", timedelta(0)),
    ],
)
def test_an_age_is_a_number_with_a_unit(text: str, age: timedelta) -> None:
    """Seconds, minutes, hours, days, weeks."""
    assert AGE.convert(text, None, None) == age


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "1y", "٣d", "9999999d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(click.BadParameter, match="write for instance 90d"):
        AGE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21T08:30:00.5Z", datetime(2026, 11, 21, 8, 30, 0, 500_000, tzinfo=UTC)),
        (
            "2026-11-21T08:30:00+01:00",
            datetime(2026, 11, 21, 8, 30, tzinfo=timezone(timedelta(hours=1))),
        ),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, moment: datetime) -> None:
    """The machine's zone must not change what is selected."""
    assert MOMENT.convert(text, None, None) == moment


def test_what_is_no_time_is_refused() -> None:
    """The message shows how to write one."""
    with pytest.raises(click.BadParameter, match="write for instance 2026-11-21"):
        MOMENT.convert("yesterday", None, None)


def test_a_selector_is_a_version_or_a_label() -> None:
    """What is strict SemVer is a version, all else a label."""
    assert document(BUNDLE_REF.convert("a@1.0.0", None, None)) == {
        "bundle_id": "a",
        "semver": "1.0.0",
        "label": None,
    }
    assert BUNDLE_REF.convert("a@production", None, None).label == "production"


@pytest.mark.parametrize("text", ["a", "@1.0.0", "a@", "a@b@c"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    """For bundles and templates alike."""
    for kind in (BUNDLE_REF, TEMPLATE_REF):
        with pytest.raises(click.BadParameter, match="is not a reference"):
            kind.convert(text, None, None)


@pytest.mark.parametrize("selector", ["1.2", "9", "01.2.0", "v1.2.0", "V2", "-x", "a b"])
def test_a_mistaken_version_is_not_taken_for_a_label(selector: str) -> None:
    """The server would only say that there is no such label."""
    with pytest.raises(click.BadParameter) as raised:
        BUNDLE_REF.convert(f"companion@{selector}", None, None)
    assert raised.value.message.startswith(
        f"{selector!r} is neither a version (MAJOR.MINOR.PATCH) nor a label "
    )


@pytest.mark.parametrize("environment", [True, False])
def test_a_target_of_another_form_is_refused(environment: bool) -> None:
    """Whether it comes from the option or the environment: one line, exit code 2."""
    runner = CliRunner(env={"PECIA_TARGET": "localhost" if environment else None})
    arguments = ["verify"] if environment else ["verify", "--target", "localhost"]
    result = runner.invoke(cli, arguments)
    assert [result.exit_code, result.stderr] == [
        2,
        "error: --target must be HOST:PORT such as 127.0.0.1:50051\n",
    ]


def test_a_filter_has_what_was_given() -> None:
    """The rest stays open."""
    since = datetime(2026, 11, 21, tzinfo=UTC)
    assert document(make_filter(since, None, "companion@1.0.0", "ab")) == {
        "start_time": "2026-11-21T00:00:00.000000Z",
        "end_time": None,
        "bundle_id": "companion",
        "semver": "1.0.0",
        "prompt_hash": "ab",
    }
    assert document(make_filter(None, None, "companion", ""))["semver"] == ""


def test_a_filter_takes_no_label() -> None:
    """Records keep exact versions, so a label would select by where it points now."""
    with pytest.raises(click.UsageError, match="keeps the exact version"):
        make_filter(None, None, "companion@production", "")


@pytest.mark.parametrize(
    ("pressed", "raised"),
    [(KeyboardInterrupt, KeyboardInterrupt), (EOFError, InputError)],
    ids=["ctrl-c", "end"],
)
def test_an_interrupted_question_is_an_interrupt(
    pressed: type[BaseException], raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130 as everywhere; the end of stdin is the lack of an answer."""

    def read(_: str) -> str:
        raise pressed

    monkeypatch.setattr("click.termui.visible_prompt_func", read)
    with pytest.raises(raised):
        confirm("Delete?")

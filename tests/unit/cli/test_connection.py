"""TLS and credentials on the command line: what is read from where, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from pecia_client import PeciaError
from pecia_service.cli import connection
from support.certificates import Authority
from support.cli import Ran, run_cli, write_pieces

AUTHORITY = Authority()
PAIR = AUTHORITY.client("web")
KEY = f"pecia_acme.01998d2e6a5f7c398f7a0d5f2b1c9e44.{'S3cr3t-' * 6}x"


class Reached(BaseException):
    """Ends a command where it would call."""


class FakeClient:
    """Keeps how it was made, and ends the command."""

    made: dict[str, Any]

    def __init__(self, target: str, **options: Any) -> None:
        FakeClient.made = {"target": target, **options}

    def __enter__(self) -> Self:
        raise Reached

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Give a directory of pieces, with an authority, a client certificate and a key beside them."""
    write_pieces(tmp_path)
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate)
    PAIR.write(tmp_path, "web")
    (tmp_path / "api.key").write_text(f"{KEY}\n", encoding="utf-8")
    return tmp_path


def options_of(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, **environment: str) -> dict[str, Any]:
    """Run a command, and return with which options it makes its client, apart from target and timeout."""
    monkeypatch.setattr(connection, "Client", FakeClient)
    with pytest.raises(Reached):
        run_cli("audit", "list", *arguments, environment=environment)
    return {
        name: FakeClient.made[name] for name in ("tls", "ca", "client_certificate", "client_key", "api_key")
    }


PLAIN = {"tls": False, "ca": None, "client_certificate": None, "client_key": None, "api_key": None}


def test_without_options_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain text to this machine."""
    assert options_of(monkeypatch, PECIA_API_KEY="", PECIA_CA="") == PLAIN


@pytest.mark.parametrize("by_flag", [True, False])
def test_files_are_read_by_flag_or_variable(
    files: Path, monkeypatch: pytest.MonkeyPatch, by_flag: bool
) -> None:
    """The authorities, and the client's certificate with its key."""
    names = {
        "ca": files / "ca.pem",
        "client-certificate": files / "web.pem",
        "client-key": files / "web-key.pem",
    }
    if by_flag:
        flags = [part for name, file in names.items() for part in (f"--{name}", file)]
        options = options_of(monkeypatch, *flags)
    else:
        variables = {f"PECIA_{name.upper().replace('-', '_')}": str(file) for name, file in names.items()}
        options = options_of(monkeypatch, **variables)
    assert options == PLAIN | {
        "ca": AUTHORITY.certificate,
        "client_certificate": PAIR.certificate,
        "client_key": PAIR.key,
    }


def test_well_known_authorities_are_named_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file holds them."""
    assert options_of(monkeypatch, "--ca", "public") == PLAIN | {"tls": True}


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line end that a shell or a secret's file left is no part of it."""
    assert options_of(monkeypatch, PECIA_API_KEY=f"{KEY}\n") == PLAIN | {"api_key": KEY}


def test_a_file_goes_before_the_environment(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every flag does."""
    options = options_of(monkeypatch, "--api-key-file", files / "api.key", PECIA_API_KEY="other")
    assert options == PLAIN | {"api_key": KEY}


def warnings(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, **environment: str) -> list[str]:
    """Run a command that reaches its server, and return what it warns of."""
    monkeypatch.setattr(connection, "Client", RefusingClient)
    error = PeciaError(grpc.StatusCode.NOT_FOUND, "no", reason="x")
    monkeypatch.setattr(RefusingClient, "error", error, raising=False)
    lines = run_cli("audit", "list", *arguments, environment=environment).stderr.splitlines()
    return [line for line in lines if line.startswith("warning: ")]


@pytest.mark.parametrize("target", ["pecia.example:50051", "dns:///10.0.0.1:50051", "[2001:db8::1]:50051"])
def test_a_key_in_clear_text_is_warned_of(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """Once, and without the key."""
    found = warnings(monkeypatch, "--target", target, PECIA_API_KEY=KEY)
    assert found == [
        f"warning: the API key is sent to {target} in clear text, and whoever listens on the way can use it; "
        "give --ca where the server speaks TLS"
    ]


@pytest.mark.parametrize(
    "target", ["127.0.0.2:1", "localhost:1", "[::1]:1", "dns:///localhost:1", "unix:/run/pecia.sock"]
)
def test_a_key_that_stays_on_this_machine_is_not_warned_of(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Nobody is on the way."""
    assert warnings(monkeypatch, "--target", target, PECIA_API_KEY=KEY) == []


def test_without_a_key_or_with_tls_nothing_is_warned_of(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no secret to read, or nobody can read it; a client certificate comes with TLS too."""
    away = ("--target", "pecia.example:50051")
    pair = ("--client-certificate", files / "web.pem", "--client-key", files / "web-key.pem")
    found = [
        warnings(monkeypatch, *away),
        warnings(monkeypatch, *away, "--ca", "public", PECIA_API_KEY=KEY),
        warnings(monkeypatch, *away, *pair, PECIA_API_KEY=KEY),
    ]
    assert found == [[]] * 3


def test_no_flag_takes_a_key() -> None:
    """Process lists would show it; the help says so."""
    ran = run_cli("audit", "list", "--api-key", KEY)
    assert [ran.exit_code, KEY in ran.stderr] == [2, False]
    assert "process lists would show it" in " ".join(run_cli("render", "--help").stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ca", "{files}/none.pem"), "--ca {files}/none.pem: No such file or directory"),
        (("--ca", "{files}/api.key"), "--ca {files}/api.key must hold certificates in PEM"),
        (
            ("--client-certificate", "{files}/web.pem"),
            "--client-certificate and --client-key belong together: give both files, or neither",
        ),
        (
            ("--client-certificate", "{files}/web.pem", "--client-key", "{files}/ca.pem"),
            "--client-certificate {files}/web.pem and --client-key {files}/ca.pem must be a certificate "
            "and its own key in PEM, without a password",
        ),
        (
            ("--client-certificate", "{files}/web.pem", "--client-key", "{files}/none.pem"),
            "--client-key {files}/none.pem: No such file or directory",
        ),
        (("--api-key-file", "{files}/none"), "--api-key-file {files}/none: No such file or directory"),
        (
            ("--api-key-file", "{files}/web.pem"),
            "api_key must be one line without spaces, as pecia keys create printed it "
            "(PECIA_API_KEY or --api-key-file)",
        ),
    ],
)
@pytest.mark.parametrize("command", [("audit", "list"), ("lint", "{files}", "--target", "127.0.0.1:1")])
def test_what_can_not_be_used_is_one_line(
    files: Path, command: tuple[str, ...], arguments: tuple[str, ...], message: str
) -> None:
    """Exit code 2, before anybody is called."""
    ran = run_cli(*(part.format(files=files) for part in (*command, *arguments)))
    assert [ran.exit_code, ran.stdout, ran.stderr] == [2, "", f"error: {message.format(files=files)}\n"]


class RefusingClient:
    """Is refused whatever it asks."""

    error: PeciaError

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def list_audit_records(self, _: object) -> Iterator[object]:
        """Raise the error."""
        raise self.error


def refused(monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode, reason: str) -> Ran:
    """Run a command that a server refuses."""
    monkeypatch.setattr(connection, "Client", RefusingClient)
    monkeypatch.setattr(RefusingClient, "error", PeciaError(code, "no", reason=reason), raising=False)
    return run_cli("audit", "list", environment={"PECIA_API_KEY": KEY})


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING", "set PECIA_API_KEY to a key that"),
        (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID", "is meant for this server"),
        (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", "pecia keys create"),
    ],
)
def test_who_is_refused_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode, reason: str, hint: str
) -> None:
    """Exit code 4, and never the key itself."""
    ran = refused(monkeypatch, code, reason)
    first, second = ran.stderr.splitlines()
    assert [ran.exit_code, first, hint in second] == [4, f"error: no [{reason}]", True]
    assert KEY not in ran.stderr


def test_a_proxy_that_refuses_is_no_riddle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status has no reason of Pecia."""
    ran = refused(monkeypatch, grpc.StatusCode.UNAUTHENTICATED, "")
    assert [ran.exit_code, "is PECIA_API_KEY right?" in ran.stderr] == [4, True]

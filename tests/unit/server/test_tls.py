"""The files of a server's certificate: when they are read again, and what is said of broken ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pecia_service.server.tls import CertificateFiles, TlsError
from support.certificates import Authority

AUTHORITY = Authority()
STRANGERS = Authority("Strangers")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a good certificate in it, and its authority's."""
    AUTHORITY.server().write(tmp_path)
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate)
    return tmp_path


def files(folder: Path) -> CertificateFiles:
    """Read the files of a folder as a server does."""
    names = ("server.pem", "server-key.pem", "ca.pem")
    return CertificateFiles(*(str(folder / name) for name in names))


def test_files_that_stay_are_not_read_again(folder: Path) -> None:
    """Nor is a file that was only touched a new certificate."""
    read = files(folder)
    assert read.changed() is None
    os.utime(folder / "server.pem", ns=(1, 1))
    assert read.changed() is None


def test_a_new_pair_is_a_change_once(folder: Path) -> None:
    """The handshakes after the first that saw it have nothing to do."""
    read = files(folder)
    AUTHORITY.server("new").write(folder)
    assert [read.changed() is None, read.changed()] == [False, None]
    assert read.chain.certificate == (folder / "server.pem").read_bytes()


def test_half_a_new_pair_is_no_change(folder: Path) -> None:
    """Certificate and key are two files, and nobody replaces both at once."""
    read, new = files(folder), AUTHORITY.server("new")
    old = read.chain
    (folder / "server.pem").write_bytes(new.certificate)
    assert [read.changed(), read.chain] == [None, old]
    (folder / "server-key.pem").write_bytes(new.key)
    assert [read.changed() is None, read.chain.key] == [False, new.key]


def test_a_pair_that_is_replaced_while_it_is_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else gRPC would get the old certificate with the new key."""
    read, first, second = files(folder), AUTHORITY.server("first"), AUTHORITY.server("second")
    first.write(folder)
    to_write = [second]
    plain = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        content = plain(path)
        if to_write:
            to_write.pop().write(folder)
        return content

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert read.changed() is not None
    assert (second.certificate, second.key) == (read.chain.certificate, read.chain.key)


def test_files_that_never_stay_as_they_are_change_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next handshake tries again."""
    read = files(folder)
    old = read.chain
    plain = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        content = plain(path)
        AUTHORITY.server("new").write(folder)
        return content

    AUTHORITY.server("new").write(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_bytes)
        assert [read.changed(), read.chain] == [None, old]
    assert read.changed() is not None


def test_a_broken_file_is_logged_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not by every handshake until somebody comes."""
    read = files(folder)
    (folder / "server.pem").write_bytes(b"x")
    assert [read.changed() for _ in range(3)] == [None] * 3
    (folder / "server.pem").unlink()
    assert [read.changed() for _ in range(3)] == [None] * 3
    said = capfd.readouterr()
    assert (said.out + said.err).count("the new certificate can't be used; the old one stays") == 2


def test_a_replaced_link_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes replaces the files of a secret."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        AUTHORITY.server(name).write(tmp_path / name)
    link = tmp_path / "current"
    link.symlink_to("one")
    read = CertificateFiles(str(link / "server.pem"), str(link / "server-key.pem"))
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(link)
    assert [read.changed() is None, read.changed()] == [False, None]
    assert read.chain.certificate == (tmp_path / "two" / "server.pem").read_bytes()


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (
            lambda at: (at / "server.pem").unlink(),
            "PECIA_TLS_CERTIFICATE can't be read: {at}/server.pem: No such file",
        ),
        (
            lambda at: (at / "server-key.pem").unlink(),
            "PECIA_TLS_KEY can't be read: {at}/server-key.pem: No such file",
        ),
        (lambda at: (at / "ca.pem").unlink(), "PECIA_TLS_CLIENT_CA can't be read: {at}/ca.pem: No such file"),
        (lambda at: (at / "server.pem").write_bytes(b""), "must be a certificate and its own key in PEM"),
        (
            lambda at: (at / "server-key.pem").write_bytes(STRANGERS.server().key),
            "without a password: key values mismatch",
        ),
        (lambda at: (at / "ca.pem").write_bytes(b"x"), "PECIA_TLS_CLIENT_CA must hold certificates"),
        (
            lambda at: (at / "ca.pem").write_bytes(b"\xff"),
            "PECIA_TLS_CLIENT_CA must hold certificates in PEM",
        ),
    ],
)
def test_files_that_can_not_be_used_are_one_line(
    folder: Path, break_it: Callable[[Path], object], problem: str
) -> None:
    """It names the setting and the file that is missing, but not what is in one."""
    break_it(folder)
    with pytest.raises(TlsError) as raised:
        files(folder)
    message = str(raised.value)
    assert problem.format(at=folder) in message
    assert ["BEGIN" in message, "\n" in message] == [False, False]


def test_a_key_with_a_password_is_not_asked_for_it(folder: Path) -> None:
    """A server has no terminal to ask, and must not wait there."""
    plain = serialization.load_pem_private_key(AUTHORITY.server().key, None)
    (folder / "server-key.pem").write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsError, match="without a password"):
        files(folder)


def test_a_key_is_not_shown(folder: Path) -> None:
    """Not in a traceback either."""
    assert "PRIVATE" not in repr(files(folder).chain)

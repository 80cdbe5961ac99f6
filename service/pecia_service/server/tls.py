"""TLS of the server: certificates that are read again when their files change."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
import structlog

from pecia_service.server.starting import UnusableSettingError
from pecia_service.settings import Settings

_READINGS: Final = 3
"""How often files that are replaced meanwhile are read, before the next handshake has to try."""


class TlsError(UnusableSettingError):
    """The files of a certificate can't be used; the message is one line that says which, and why."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The settings that name files, and the files."""

    certificate: Path
    key: Path
    client_ca: Path | None

    def stamp(self) -> tuple[object, ...]:
        """Return what changes when a file is written or replaced; raises OSError when one is not there."""
        paths = [path for path in (self.certificate, self.key, self.client_ca) if path is not None]
        return tuple(
            (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)
            for status in (path.stat() for path in paths)
        )


@dataclass(frozen=True, slots=True)
class _Chain:
    """The content of the files (PEM)."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return it as gRPC takes it."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.client_ca)


class CertificateFiles:
    """Reads a server's certificate, and again when a handshake finds that a file changed; for all threads.

    What is broken, such as a pair of which only one half was replaced yet, changes nothing but the log: the
    certificate that worked stays until the files can be used.
    """

    def __init__(self, certificate: str, key: str, client_ca: str = "") -> None:
        """Read the files (PEM; `client_ca` may be empty); raises TlsError when they can't be used."""
        self._files = _Files(Path(certificate), Path(key), Path(client_ca) if client_ca else None)
        self._log = structlog.get_logger("pecia.server")
        # gRPC's own threads ask, several at once.
        self._turn = threading.Lock()
        self._stamp: object = self._stamped()
        self.chain = self._read()

    @property
    def demands_client_certificate(self) -> bool:
        """Whether a client without a certificate of the authorities is refused."""
        return self._files.client_ca is not None

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the certificate for the handshake that begins if it is another than before, else None."""
        with self._turn:
            try:
                stamp: object = self._files.stamp()
            except OSError as error:
                stamp = (error.filename, error.errno)
            if stamp == self._stamp:
                return None
            # Also what is broken is tried, and logged, only once.
            self._stamp = stamp
            try:
                chain = self._read()
            except TlsError as error:
                self._log.error("the new certificate can't be used; the old one stays", problem=str(error))
                return None
            if chain == self.chain:
                return None
            self.chain = chain
            self._log.info("a new certificate is in use")
            return chain.configuration()

    def _read(self) -> _Chain:
        """Return the files as they are together: one that was replaced meanwhile may not fit the others."""
        for _ in range(_READINGS):
            stamp = self._stamped()
            chain = self._read_once()
            if self._stamped() == stamp:
                return chain
        raise TlsError(
            "the files of PECIA_TLS_CERTIFICATE, PECIA_TLS_KEY and PECIA_TLS_CLIENT_CA change while they are "
            "read; let them be"
        )

    def _stamped(self) -> tuple[object, ...]:
        try:
            return self._files.stamp()
        except OSError as error:
            raise self._unreadable(error.filename, error) from None

    def _read_once(self) -> _Chain:
        files = self._files
        chain = _Chain(
            self._content(files.certificate),
            self._content(files.key),
            self._content(files.client_ca) if files.client_ca else None,
        )
        # OpenSSL loads a pair from files only, and says whether the two belong together.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # Without a password OpenSSL would ask the terminal for that of a key that has one.
            context.load_cert_chain(files.certificate, files.key, password="")
        except OSError as error:
            raise TlsError(
                "PECIA_TLS_CERTIFICATE and PECIA_TLS_KEY must be a certificate and its own key in PEM, "
                f"without a password{_openssl_reason(error)}"
            ) from None
        if chain.client_ca is not None:
            try:
                context.load_verify_locations(cadata=chain.client_ca.decode("ascii", errors="ignore"))
            except (OSError, ValueError) as error:
                raise TlsError(
                    f"PECIA_TLS_CLIENT_CA must hold certificates in PEM{_openssl_reason(error)}"
                ) from None
        return chain

    def _content(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._unreadable(path, error) from None

    def _unreadable(self, path: object, error: OSError) -> TlsError:
        """Name the setting and the file, for whoever starts the server and reads its log."""
        names = {
            str(self._files.certificate): "PECIA_TLS_CERTIFICATE",
            str(self._files.key): "PECIA_TLS_KEY",
            str(self._files.client_ca): "PECIA_TLS_CLIENT_CA",
        }
        return TlsError(f"{names[str(path)]} can't be read: {path}: {error.strerror}")


def _openssl_reason(error: Exception) -> str:
    """Return what OpenSSL says, where it says more than that something is no PEM."""
    reason = getattr(error, "reason", None)
    return f": {reason.lower().replace('_', ' ')}" if isinstance(reason, str) else ""


def server_credentials(settings: Settings) -> grpc.ServerCredentials:
    """Return credentials that follow the files which the settings name; raises TlsError.

    Every handshake asks whether the files changed. Connections that are open stay as they are.
    """
    files = CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.chain.configuration(),
        files.changed,  # type: ignore[arg-type]  # the stub leaves out None, which is "as before"
        require_client_authentication=files.demands_client_certificate,
    )

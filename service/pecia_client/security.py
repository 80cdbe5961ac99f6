"""Say how a client proves who it is, and to whom it speaks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import grpc

Metadata = tuple[tuple[str, str], ...]

# Anything else gRPC would refuse at the first call, and repeat in its message.
_HEADER_TEXT = re.compile(r"[\x21-\x7e]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Security:
    """What a channel needs for TLS, and its calls for authentication; `repr` shows no secret."""

    tls: bool = False
    ca: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key belong together: give both, or neither")
        if self.api_key is not None and not _HEADER_TEXT.fullmatch(self.api_key):
            raise ValueError("api_key must be one line without spaces, as pecia keys create printed it")

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return what a channel with TLS needs, or None for one without."""
        if not (self.tls or self.ca is not None or self.client_certificate is not None):
            return None
        return grpc.ssl_channel_credentials(self.ca, self.client_key, self.client_certificate)

    def metadata(self) -> Metadata:
        """Return what is sent along with each call."""
        return () if self.api_key is None else (("authorization", f"Bearer {self.api_key}"),)

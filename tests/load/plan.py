"""Say what one run does: the calls, how they are paced, and for how long."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, Self

MAX_CALLERS: Final = 4_096
MAX_PROCESSES: Final = 32
MAX_CONNECTIONS: Final = 512
MAX_RATE: Final = 1_000_000.0
MAX_SECONDS: Final = 3_600.0
MAX_REQUESTS: Final = 100_000_000
MAX_BATCH: Final = 256
MAX_WINDOW: Final = 1_024
MAX_BUNDLES: Final = 20_000
MAX_IN_FLIGHT: Final = 65_536
ECHO_METHOD: Final = "/pecia.load.Echo/Echo"


class Kind(StrEnum):
    """What one call asks for."""

    RENDER = "render"
    LABEL = "label"
    BATCH = "batch"
    STREAM = "stream"
    REPLAY = "replay"
    HEALTH = "health"
    ECHO = "echo"


class PlanError(ValueError):
    """A plan asks for something that makes no sense, or for more than the harness itself can bear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the server is and how to speak to it, as for `pecia_client.AsyncClient`."""

    target: str
    tls: bool = False
    ca: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object, for another process."""
        return {name: _encoded(getattr(self, name)) for name in (each.name for each in fields(self))}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` gave."""
        return cls(**{name: _decoded(value) for name, value in document.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of one kind of call; times are in seconds.

    Attributes:
        kind: What one call asks for.
        profile: Which bundle and payloads.
        callers: Calls in flight at most, over all processes; for streams, streams.
        processes: Processes that make the calls.
        connections: HTTP/2 connections over all processes; None means up to 8, and one for each process at
            least.
        rate: Calls a second over all processes; None means a closed loop.
        seconds: How long calls are begun and measured, unless `requests` is given.
        requests: How many calls are measured.
        warmup: How long calls are made before that.
        batch: Renders in one RenderBatch.
        window: Requests in flight of one stream.
        bundles: Copies of the profile's bundle that are rendered in turn.
        validate_only: Ask for renders that leave no audit record.
        timeout: The deadline of a call.
        drain: How long the last calls may take when no new ones are begun.
        interval: How often is reported.

    """

    kind: Kind
    profile: str = "short"
    callers: int = 16
    processes: int = 1
    connections: int | None = None
    rate: float | None = None
    seconds: float = 10.0
    requests: int | None = None
    warmup: float = 2.0
    batch: int = 64
    window: int = 16
    bundles: int = 1
    validate_only: bool = False
    timeout: float = 10.0
    drain: float = 10.0
    interval: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense, or more than one machine can be asked for; raises PlanError."""
        _within("callers", self.callers, 1, MAX_CALLERS)
        _within("processes", self.processes, 1, min(MAX_PROCESSES, self.callers))
        _within("connections", self.open_connections, self.processes, MAX_CONNECTIONS)
        _within("seconds", self.seconds, 0.1, MAX_SECONDS)
        _within("warmup", self.warmup, 0, MAX_SECONDS)
        _within("batch", self.batch, 1, MAX_BATCH)
        _within("window", self.window, 1, MAX_WINDOW)
        _within("bundles", self.bundles, 1, MAX_BUNDLES)
        _within("timeout", self.timeout, 0.001, MAX_SECONDS)
        _within("drain", self.drain, 0, MAX_SECONDS)
        _within("interval", self.interval, 0.05, MAX_SECONDS)
        if self.rate is not None:
            _within("rate", self.rate, 0.01, MAX_RATE)
        if self.requests is not None:
            _within("requests", self.requests, self.processes, MAX_REQUESTS)
            if self.rate is not None:
                _within("requests / rate", self.requests / self.rate, 0, MAX_SECONDS)
        if self.kind is Kind.STREAM:
            _within("callers x window", self.callers * self.window, 1, MAX_IN_FLIGHT)

    @property
    def open_connections(self) -> int:
        """How many connections are opened over all processes."""
        if self.connections is None:
            return max(self.processes, min(self.callers, 8))
        return self.connections

    @property
    def renders_per_call(self) -> int:
        """How many prompts a right answer brings."""
        if self.kind in {Kind.HEALTH, Kind.ECHO}:
            return 0
        return self.batch if self.kind is Kind.BATCH else 1

    @property
    def name(self) -> str:
        """What the run is called in tables and plots."""
        kind = f"{self.kind} of {self.batch}" if self.kind is Kind.BATCH else str(self.kind)
        pace = f"{self.callers} callers" if self.rate is None else f"{self.rate:g}/s"
        return f"{kind}, {pace}" if self.renders_per_call == 0 else f"{kind}, {self.profile}, {pace}"

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` gave."""
        return cls(**{**document, "kind": Kind(document["kind"])})


def _within(name: str, value: float, least: float, most: float) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise PlanError(f"{name} must be from {least:g} to {most:g}, not {value:g}")


def _encoded(value: bytes | str | bool | None) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _decoded(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value

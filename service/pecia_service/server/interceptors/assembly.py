"""The stages of a server, made from its settings."""

from __future__ import annotations

from pecia_service.bootstrap import system_ids
from pecia_service.server.interceptors.authentication import Authentication, Authenticator
from pecia_service.server.interceptors.calls import RequestIds
from pecia_service.server.interceptors.deadlines import DefaultDeadline
from pecia_service.server.interceptors.edge import EdgeInterceptor, Stages
from pecia_service.server.interceptors.errors import ErrorMapper
from pecia_service.server.interceptors.limits import AnswerBytes, InFlight
from pecia_service.server.interceptors.observation import CallObserver, NullObserver, Observation
from pecia_service.server.interceptors.requests import Reading
from pecia_service.settings import Settings


def edge_interceptor(
    settings: Settings, authenticator: Authenticator | None, observer: CallObserver | None = None
) -> EdgeInterceptor:
    """Make the interceptor of one server; without an authenticator everybody is the anonymous caller.

    Raises ValueError when the settings want authentication and there is none.
    """
    if settings.authenticated and authenticator is None:
        raise ValueError("authentication is required, but there is nothing that knows callers")
    return EdgeInterceptor(
        Stages(
            RequestIds(system_ids()),
            Observation(observer or NullObserver(), slow_seconds=settings.slow_request_seconds),
            Authentication(authenticator) if settings.authenticated and authenticator else None,
            InFlight(most=settings.max_in_flight, most_of_caller=settings.max_in_flight_per_caller),
            AnswerBytes(settings.max_answer_bytes),
            DefaultDeadline(settings.default_deadline, "PECIA_DEFAULT_DEADLINE"),
            DefaultDeadline(settings.default_stream_deadline, "PECIA_DEFAULT_STREAM_DEADLINE"),
            Reading(),
            ErrorMapper(),
        )
    )

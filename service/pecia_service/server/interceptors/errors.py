"""The one place where errors become statuses."""

from __future__ import annotations

from typing import Final, NoReturn

import structlog

from pecia_service.errors import Error
from pecia_service.server.context import Context
from pecia_service.server.interceptors.calls import Call
from pecia_service.server.status import STATUS_CODES, internal_fault, to_status

_DETAILS_KEY: Final = "grpc-status-details-bin"


class ErrorMapper:
    """Answers errors of every stage, and of what is behind the last one, with a status."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("pecia.server")

    def judge(self, error: Exception, method: str) -> Error:
        """Return what is told of an error; anything that is no domain error is a fault, and is logged."""
        if isinstance(error, Error):
            return error
        self._log.error("request failed", method=method, exc_info=error)
        return internal_fault(method)

    async def abort(self, error: Error, call: Call, context: Context) -> NoReturn:
        """End the call with the error's status, and tell its details in trailing metadata."""
        status = to_status(error)
        details = (_DETAILS_KEY, status.SerializeToString())
        await context.abort(STATUS_CODES[error.kind], status.message, (*call.names, details))

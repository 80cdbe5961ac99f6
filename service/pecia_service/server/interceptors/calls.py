"""The first stage: what a call is known by, from its client's metadata to its own trailing metadata."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pecia_service.access.model import ANONYMOUS, Caller
from pecia_service.logs import REQUEST_ID
from pecia_service.server.context import Context

REQUEST_ID_KEY: Final = "x-request-id"
TRACEPARENT_KEY: Final = "traceparent"

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)
# Version, trace id, parent id and flags: https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII
)


@dataclass(slots=True)
class Call:
    """One call while it is being answered.

    `authorization` has the values of that key in the client's metadata. `trailing` goes back to the client
    however the call ends.
    """

    method: str
    request_id: str
    trace_id: str
    authorization: tuple[str | bytes, ...]
    trailing: tuple[tuple[str, str], ...]
    caller: Caller = ANONYMOUS


class RequestIds:
    """Names calls as their clients do, or by new ids."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def begin(self, method: str, context: Context) -> Call:
        """Return the call, with its names in its trailing metadata and its request id in each log line.

        A client's `x-request-id` counts if it is 1 to 128 characters of A-Z a-z 0-9 . _ : / + = @ -, and its
        `traceparent` if it is one of W3C Trace Context; others are ignored.
        """
        request_id = trace_id = ""
        authorization: tuple[str | bytes, ...] = ()
        traceparent: tuple[tuple[str, str], ...] = ()
        for key, value in context.invocation_metadata() or ():
            if key == REQUEST_ID_KEY:
                if isinstance(value, str) and _REQUEST_ID.fullmatch(value):
                    request_id = value
            elif key == TRACEPARENT_KEY:
                if isinstance(value, str) and (match := _TRACEPARENT.fullmatch(value)):
                    trace_id = match[1]
                    traceparent = ((TRACEPARENT_KEY, value),)
            elif key == "authorization":
                authorization = (*authorization, value)
        request_id = request_id or self._new_id()
        trailing = ((REQUEST_ID_KEY, request_id), *traceparent)
        context.set_trailing_metadata(trailing)
        REQUEST_ID.set(request_id)
        return Call(method, request_id, trace_id, authorization, trailing)

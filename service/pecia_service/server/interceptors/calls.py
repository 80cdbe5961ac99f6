"""The first stage: what a call is known by, from its client's metadata to its own trailing metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from pecia_service.access.model import Caller
from pecia_service.logs import CURRENT_CALL
from pecia_service.server.context import Context

REQUEST_ID_KEY: Final = "x-request-id"
TRACEPARENT_KEY: Final = "traceparent"

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)
# Version, trace id, parent id and flags: https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII
)


Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]


class Call:
    """One call while it is being answered.

    `authorization` has the values of that key in the client's metadata. `has_new_id` tells whether an id was
    made for it: that is done only when something is told or logged of the call.
    """

    __slots__ = ("_new_id", "_request_id", "authorization", "caller", "has_new_id", "method", "traceparent")

    def __init__(self, method: str, new_id: Callable[[], str]) -> None:
        self.method = method
        self.traceparent = ""
        self.authorization: tuple[str | bytes, ...] = ()
        self.caller: Caller | None = None
        self.has_new_id = False
        self._request_id = ""
        self._new_id = new_id

    @property
    def request_id(self) -> str:
        """What the call is known by: its client's id, or a new one."""
        if not self._request_id:
            self._request_id = self._new_id()
            self.has_new_id = True
        return self._request_id

    @property
    def trace_id(self) -> str:
        """The id of the trace that the client is in, or nothing."""
        return self.traceparent[3:35]

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """What goes back to the client in trailing metadata: request id, and traceparent if there is one."""
        names = ((REQUEST_ID_KEY, self.request_id),)
        return (*names, (TRACEPARENT_KEY, self.traceparent)) if self.traceparent else names

    def read(self, metadata: Metadata) -> bool:
        """Take what the client says of the call, and return whether it gave a name of its own."""
        for key, value in metadata:
            if key == REQUEST_ID_KEY:
                if isinstance(value, str) and _REQUEST_ID.fullmatch(value):
                    self._request_id = value
            elif key == TRACEPARENT_KEY:
                if isinstance(value, str) and _TRACEPARENT.fullmatch(value):
                    self.traceparent = value
            elif key == "authorization":
                self.authorization = (*self.authorization, value)
        return bool(self._request_id or self.traceparent)


class RequestIds:
    """Names calls as their clients do, or by new ids."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def begin(self, method: str, context: Context, metadata: Metadata | None = None) -> Call:
        """Return the call, whose names are in its trailing metadata and whose id is in each log line.

        A client's `x-request-id` counts if it is 1 to 128 characters of A-Z a-z 0-9 . _ : / + = @ -, and its
        `traceparent` if it is one of W3C Trace Context; others are ignored. An id that is made for a call
        without one is told by `end`, if anything was logged under it, and with every error. The client's
        `metadata` may be given by who has it: the context makes it anew each time.
        """
        call = Call(method, self._new_id)
        if call.read(context.invocation_metadata() or () if metadata is None else metadata):
            context.set_trailing_metadata(call.names)
        CURRENT_CALL.set(call)
        return call

    def end(self, call: Call, context: Context) -> None:
        """Tell the client of a call that succeeds under which id something was logged."""
        if call.has_new_id:
            context.set_trailing_metadata(call.names)

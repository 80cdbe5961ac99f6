"""Make blocking calls: deadlines, pages, and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import grpc

from pecia_client.errors import PeciaError
from pecia_client.security import Metadata

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Item = TypeVar("_Item")


class PagedRequest(Protocol):
    """A request that carries a page token."""

    page_token: str


class PagedResponse(Protocol):
    """A response that may name a next page."""

    next_page_token: str


_Paged = TypeVar("_Paged", bound=PagedRequest)
_Page = TypeVar("_Page", bound=PagedResponse)


class Calls:
    """Make single calls, streams and paged lists, each with a deadline in seconds.

    Attributes:
        metadata: What is sent along with each call.

    """

    def __init__(self, timeout: float | None, metadata: Metadata = ()) -> None:
        self._timeout = timeout
        self.metadata = metadata

    def unary(
        self,
        call: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
    ) -> _Response:
        """Make one call; without a timeout the default holds.

        Raises:
            PeciaError: The call failed.

        """
        try:
            return call(
                request, timeout=self._timeout if timeout is None else timeout, metadata=self.metadata
            )
        except grpc.RpcError as error:
            raise PeciaError.from_call(error) from error

    def stream(
        self,
        call: grpc.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
    ) -> Iterator[_Response]:
        """Yield what the server streams; without a timeout there is no deadline.

        Raises:
            PeciaError: The call failed.

        """
        responses = call(request, timeout=timeout, metadata=self.metadata)
        try:
            yield from responses
        except grpc.RpcError as error:
            raise PeciaError.from_call(error) from error
        finally:
            responses.cancel()

    def pages(
        self,
        call: grpc.UnaryUnaryMultiCallable[_Paged, _Page],
        request: _Paged,
        items: Callable[[_Page], Iterable[_Item]],
        timeout: float | None,
    ) -> Iterator[_Item]:
        """Yield the items of all pages; the timeout holds for each page.

        Raises:
            PeciaError: A call failed.

        """
        while True:
            page = self.unary(call, request, timeout)
            yield from items(page)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

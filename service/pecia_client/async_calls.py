"""Make calls on asyncio: deadlines, pages, and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol, TypeVar

from grpc import aio

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


class AsyncCalls:
    """Make single calls, streams and paged lists, each with a deadline in seconds.

    Attributes:
        metadata: What is sent along with each call.

    """

    def __init__(self, timeout: float | None, metadata: Metadata = ()) -> None:
        self._timeout = timeout
        self.metadata = metadata

    async def unary(
        self,
        call: aio.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
    ) -> _Response:
        """Make one call; without a timeout the default holds.

        Raises:
            PeciaError: The call failed.

        """
        try:
            return await call(
                request, timeout=self._timeout if timeout is None else timeout, metadata=self.metadata
            )
        except aio.AioRpcError as error:
            raise PeciaError.from_call(error) from error

    async def stream(
        self,
        call: aio.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
    ) -> AsyncIterator[_Response]:
        """Yield what the server streams; without a timeout there is no deadline.

        Raises:
            PeciaError: The call failed.

        """
        responses = call(request, timeout=timeout, metadata=self.metadata)
        try:
            async for response in responses:
                yield response
        except aio.AioRpcError as error:
            raise PeciaError.from_call(error) from error
        finally:
            responses.cancel()

    async def pages(
        self,
        call: aio.UnaryUnaryMultiCallable[_Paged, _Page],
        request: _Paged,
        items: Callable[[_Page], Iterable[_Item]],
        timeout: float | None,
    ) -> AsyncIterator[_Item]:
        """Yield the items of all pages; the timeout holds for each page.

        Raises:
            PeciaError: A call failed.

        """
        while True:
            page = await self.unary(call, request, timeout)
            for item in items(page):
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

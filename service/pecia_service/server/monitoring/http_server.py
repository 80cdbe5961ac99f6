"""The HTTP server of the monitoring pages, in a thread of its own; it knows nothing of what it serves."""

from __future__ import annotations

import asyncio
import io
import socket
import socketserver
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Final, cast
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

import structlog

from pecia_service.server.listening import bind_failure, listen_error

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MAX_CONNECTIONS: Final = 32
"""How many connections are open at once; see `MonitoringServer`."""

REQUEST_SECONDS: Final = 5.0
"""How long a client may take to send its request, and again to take its answer."""

_BACKLOG: Final = 128


class MonitoringServer:
    """Serves WSGI applications by their paths, over HTTP/1.0, from daemon threads.

    `pages` maps paths such as /metrics to applications, which are called from several threads at once and
    must answer soon by themselves. It suits any process that has pages, a supervisor's too: it needs no gRPC,
    and an event loop only to await `close`. A connection serves one request, which must arrive within
    `request_seconds`. At most `max_connections` are open: for a further one the oldest that has not sent its
    request gives way, so that silent clients keep nobody out.
    """

    def __init__(
        self,
        listen: str,
        pages: Mapping[str, WSGIApplication],
        *,
        max_connections: int = MAX_CONNECTIONS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        """Bind HOST:PORT, where port 0 takes a free one; raises ListenError if that can't be had."""
        self._host = listen.rpartition(":")[0]
        self._server = _bind(listen, _Pages(pages), _Connections(max_connections), request_seconds)
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True)

    @property
    def address(self) -> str:
        """HOST:PORT as bound."""
        return f"{self._host}:{self._server.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    async def close(self) -> None:
        """Accept no more, and let go of the port; what is being answered still is."""
        if self._thread.is_alive():
            await asyncio.to_thread(self._server.end)
        else:
            self._server.server_close()


class _Connections:
    """The open connections, bounded; a new one can push out the oldest of those that wait for a request."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, None] = {}
        self._answering: set[socket.socket] = set()

    def admit(self, connection: socket.socket) -> bool:
        """Count a connection that is to send its request; tell whether there is room for it."""
        with self._lock:
            if len(self._waiting) + len(self._answering) >= self._most:
                oldest = next(iter(self._waiting), None)
                if oldest is None:
                    return False
                del self._waiting[oldest]
                # Its thread sees the end of the stream, and ends.
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._waiting[connection] = None
        return True

    def requested(self, connection: socket.socket) -> None:
        """Take note that a request is here: the connection gives way no more."""
        with self._lock:
            if connection in self._waiting:
                del self._waiting[connection]
                self._answering.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Count a connection no more."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._answering.discard(connection)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = _BACKLOG

    def __init__(
        self,
        family: int,
        address: tuple[str, int],
        pages: WSGIApplication,
        connections: _Connections,
        request_seconds: float,
    ) -> None:
        self.address_family = family
        self.pages = pages
        self.connections = connections
        self.request_seconds = request_seconds
        self._log = structlog.get_logger(__name__)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the DNS for its own name here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        if self.connections.admit(request):
            super().process_request(request, client_address)
        else:
            super().shutdown_request(request)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        self.connections.closed(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that went away, or took too long, is its own affair.
        self._log.debug("monitoring_connection_failed", exc_info=True)

    def end(self) -> None:
        """Stop to accept, wait for that, and close the socket."""
        # Wakes the thread that accepts, which otherwise looks twice a second whether it should end.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.server_close()


class _BoundedReader(io.RawIOBase):
    """Reads a socket up to a point in time, however little comes at once."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the base takes any buffer
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(WSGIRequestHandler):
    """One connection: reads one request, and answers it."""

    server: _Server
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_BoundedReader(self.connection, self.server.request_seconds))

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65_537)
        if len(self.raw_requestline) > 65_536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        if not self.parse_request():
            return
        self.server.connections.requested(self.connection)
        self.connection.settimeout(self.server.request_seconds)
        # A page needs no body, and would wait here for one that doesn't come.
        exchange = _Exchange(
            io.BytesIO(),
            cast("IO[bytes]", self.wfile),
            self.get_stderr(),
            self.get_environ(),
            multithread=True,
        )
        exchange.request_handler = self  # type: ignore[attr-defined]  # as WSGIRequestHandler.handle does
        exchange.run(self.server.pages)

    def address_string(self) -> str:
        # The name of the client is not worth a question to the DNS.
        return str(self.client_address[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log no requests: they come every few seconds, for ever."""


class _Exchange(ServerHandler):
    """Runs an application for one request."""

    server_software = "pecia"

    def log_exception(self, exc_info: object) -> None:
        structlog.get_logger(__name__).debug("monitoring_answer_failed", exc_info=exc_info)


class _Pages:
    """Hands a request to the page at its path."""

    def __init__(self, pages: Mapping[str, WSGIApplication]) -> None:
        self._pages = dict(pages)
        self._log = structlog.get_logger(__name__)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        page = self._pages.get(path)
        if page is None:
            return text_answer(
                start_response, HTTPStatus.NOT_FOUND, f"Not here. Pages: {', '.join(self._pages)}\n"
            )
        try:
            return page(environ, start_response)
        except Exception as error:  # noqa: BLE001 - whatever a page does, its client gets an answer
            self._log.error("monitoring_page_failed", path=path, exc_info=error)
            return text_answer(start_response, HTTPStatus.INTERNAL_SERVER_ERROR, "The page failed.\n")


def text_answer(
    start_response: StartResponse,
    status: HTTPStatus,
    text: str,
    content_type: str = "text/plain; charset=utf-8",
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Answer a WSGI request with a text, which nobody may cache."""
    body = text.encode()
    start_response(
        f"{status.value} {status.phrase}",
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *headers,
        ],
    )
    return [body]


def _bind(listen: str, pages: WSGIApplication, connections: _Connections, request_seconds: float) -> _Server:
    host, _, port = listen.rpartition(":")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _Server(family, (str(address[0]), int(address[1])), pages, connections, request_seconds)
    except OSError as error:
        raise listen_error(listen, bind_failure(error), flag="--metrics-listen") from None

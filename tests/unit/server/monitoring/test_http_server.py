"""The HTTP server of the pages: no client, silent, slow or hostile, keeps others out."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from pecia_service.server.listening import ListenError
from pecia_service.server.monitoring.http_server import MonitoringServer, text_answer
from structlog.testing import capture_logs
from support.pages import SECONDS, fetch, page

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def hello(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer at once."""
    return text_answer(start_response, HTTPStatus.OK, f"hello {environ['QUERY_STRING']}")


def broken(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Fail."""
    raise ValueError("broken")


def huge(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer more than sockets hold."""
    return text_answer(start_response, HTTPStatus.OK, "x" * 64_000_000)


class Gate:
    """A page that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Wait for the gate."""
        self.asked.release()
        self.open.wait(SECONDS)
        return text_answer(start_response, HTTPStatus.OK, "open")


@asynccontextmanager
async def serving(listen: str = "127.0.0.1:0", **options: Any) -> AsyncIterator[MonitoringServer]:
    """Serve some pages on a free port."""
    pages = {"/hello": hello, "/broken": broken, "/huge": huge, "/gate": options.pop("gate", hello)}
    server = MonitoringServer(listen, pages, **options)
    server.start()
    try:
        yield server
    finally:
        await server.close()


def connect(server: MonitoringServer) -> socket.socket:
    """Open a connection, and say nothing."""
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), SECONDS)


def rest(connection: socket.socket) -> bytes:
    """Read what comes until the server closes."""
    received = b""
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", "0.0.0.0:0"])
async def test_a_page_is_served_on_every_kind_of_address(listen: str) -> None:
    """The address that it tells is the one to ask."""
    async with serving(listen) as server:
        found = await page(server.address, "/hello?who")
    assert (200, b"hello who", "no-store") == (found.status, found.body, found.headers["cache-control"])


async def test_what_is_not_there_is_404_with_what_is() -> None:
    """Whoever types an address by hand learns the paths."""
    async with serving() as server:
        found = await page(server.address, "/")
    assert (404, b"Not here. Pages: /hello, /broken, /huge, /gate\n") == (found.status, found.body)


async def test_a_page_that_fails_is_500_and_logged() -> None:
    """Its client learns no more."""
    with capture_logs() as logs:
        async with serving() as server:
            found = await page(server.address, "/broken")
    assert (500, b"The page failed.\n") == (found.status, found.body)
    assert [("monitoring_page_failed", "/broken")] == [(line["event"], line["path"]) for line in logs]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /hello HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET /hello HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n", b"431"),
    ],
)
async def test_what_is_no_request_is_refused(sent: bytes, status: bytes) -> None:
    """By the status that HTTP has for it."""

    def exchange(server: MonitoringServer) -> bytes:
        with connect(server) as connection:
            connection.sendall(sent)
            return rest(connection)

    async with serving() as server:
        answer = await asyncio.to_thread(exchange, server)
    assert status in answer.partition(b"\r\n\r\n")[0]


async def test_a_body_is_not_waited_for() -> None:
    """Pages take none, whatever a client announces."""

    def exchange(server: MonitoringServer) -> bytes:
        with connect(server) as connection:
            connection.sendall(b"POST /hello HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
            return rest(connection)

    async with serving() as server:
        assert (await asyncio.to_thread(exchange, server)).endswith(b"hello ")


async def test_silent_clients_keep_nobody_out() -> None:
    """However many they are: the oldest of them give way."""
    async with serving(max_connections=4, request_seconds=10 * SECONDS) as server:
        silent = [connect(server) for _ in range(20)]
        found = [await page(server.address, "/hello") for _ in range(5)]
        given_way = await asyncio.to_thread(rest, silent[0])
        for connection in silent:
            connection.close()
    assert ([200] * 5, b"") == ([answer.status for answer in found], given_way)


async def test_a_silent_client_is_left_after_a_while() -> None:
    """Also when nobody else wants its place."""
    async with serving(request_seconds=0.1) as server:
        with connect(server) as connection:
            assert b"" == await asyncio.to_thread(rest, connection)


async def test_a_client_that_sends_byte_by_byte_is_left_after_a_while() -> None:
    """The time is for the whole request: each byte does not begin it anew."""

    def drip(server: MonitoringServer) -> bool:
        with connect(server) as connection:
            connection.settimeout(0.02)
            for _ in range(int(SECONDS / 0.02)):
                try:
                    connection.sendall(b"x")
                    if not connection.recv(1):
                        return True
                except TimeoutError:
                    continue
                except OSError:
                    return True
        return False

    async with serving(request_seconds=0.2) as server:
        assert await asyncio.to_thread(drip, server)


async def test_a_client_that_does_not_read_is_left_after_a_while() -> None:
    """Others are answered meanwhile."""

    def ask(connection: socket.socket) -> None:
        connection.sendall(b"GET /huge HTTP/1.1\r\n\r\n")
        assert connection.recv(1)

    # Those others have no more time either, and the machine may be slow.
    async with serving(max_connections=2, request_seconds=2) as server:
        with connect(server) as lazy:
            await asyncio.to_thread(ask, lazy)
            found = await page(server.address, "/hello")
            for thread in threading.enumerate():
                if "process_request_thread" in thread.name:
                    await asyncio.to_thread(thread.join, SECONDS)
            received = await asyncio.to_thread(rest, lazy)
    assert 200 == found.status
    assert 0 < len(received) < 64_000_000


async def test_more_answers_than_are_allowed_are_refused() -> None:
    """Those under way are not cut off for others."""
    gate = Gate()
    async with serving(max_connections=2, gate=gate) as server:
        waiting = [asyncio.create_task(page(server.address, "/gate")) for _ in range(2)]
        for _ in waiting:
            assert await asyncio.to_thread(gate.asked.acquire, timeout=SECONDS)
        with connect(server) as connection:
            refused = await asyncio.to_thread(rest, connection)
        gate.open.set()
        found = await asyncio.gather(*waiting)
        later = await page(server.address, "/hello")
    assert (b"", [b"open", b"open"], 200) == (refused, [answer.body for answer in found], later.status)


async def test_a_port_that_is_taken_is_one_clear_line() -> None:
    """Who starts the server learns which flag to change."""
    async with serving() as server:
        with pytest.raises(ListenError) as caught:
            MonitoringServer(server.address, {})
        address = server.address
    expected = (
        f"can't listen on {address}: "
        "the port is taken; choose another with --metrics-listen or PECIA_METRICS_LISTEN"
    )
    assert expected == str(caught.value)


async def test_an_address_of_another_machine_is_one_clear_line() -> None:
    """192.0.2.0/24 is nobody's."""
    with pytest.raises(
        ListenError, match=r"^can't listen on 192\.0\.2\.1:0: .*--metrics-listen or PECIA_METRICS_LISTEN$"
    ):
        MonitoringServer("192.0.2.1:0", {})


@pytest.mark.parametrize("started", [True, False])
async def test_a_closed_server_lets_go_of_its_port(started: bool) -> None:
    """Another one can have it at once."""
    server = MonitoringServer("127.0.0.1:0", {"/hello": hello})
    if started:
        server.start()
        await page(server.address, "/hello")
    await server.close()
    async with serving(server.address) as again:
        assert 200 == fetch(again.address, "/hello").status

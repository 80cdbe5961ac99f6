"""A port that is kept for the workers, with real sockets."""

import errno
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest
from pecia_service.server.listening import ListenError
from pecia_service.server.starting import StartError
from pecia_service.server.workers.reservation import Reservation


def bound(host: str, port: int, *options: int, listen: bool = False) -> socket.socket:
    """Bind a socket with options of SOL_SOCKET."""
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    for option in options:
        one.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        one.bind((host, port))
        if listen:
            one.listen()
    except OSError:
        one.close()
        raise
    return one


def refusal(host: str, port: int, *options: int) -> int | None:
    """Give the errno with which a bind is refused, if it is."""
    try:
        bound(host, port, *options, listen=True).close()
    except OSError as error:
        return error.errno
    return None


def port_of(reservation: Reservation) -> int:
    """Give the port that was reserved."""
    return int(reservation.listen.rpartition(":")[2])


HOSTS = {
    "127.0.0.1": ["127.0.0.1"],
    "[::1]": ["::1"],
    "localhost": ["127.0.0.1", "::1"],
    "0.0.0.0": ["127.0.0.1", "::1", "::"],
    "[::]": ["127.0.0.1", "::1", "0.0.0.0"],
}


@pytest.mark.parametrize("host", HOSTS)
def test_nobody_else_gets_a_reserved_port(host: str) -> None:
    """With SO_REUSEADDR, or without, on each of the host's addresses."""
    with Reservation.make(f"{host}:0") as reservation:
        refused = {
            refusal(address, port_of(reservation), *options)
            for address in HOSTS[host]
            for options in [(), (socket.SO_REUSEADDR,)]
        }
    assert {errno.EADDRINUSE} == refused


@pytest.mark.parametrize("host", HOSTS)
def test_workers_share_a_reserved_port(host: str) -> None:
    """Each binds with SO_REUSEPORT, as gRPC does."""
    with Reservation.make(f"{host}:0") as reservation, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(bound(HOSTS[host][0], port_of(reservation), socket.SO_REUSEPORT, listen=True))
        with pytest.raises(ListenError, match="the port is taken"):
            Reservation.make(reservation.listen)


def test_who_keeps_a_port_gets_no_connection() -> None:
    """Without a worker they are refused; with one it gets all of them."""
    with Reservation.make("127.0.0.1:0") as reservation:
        place = ("127.0.0.1", port_of(reservation))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        with bound(*place, socket.SO_REUSEPORT, listen=True) as worker, ExitStack() as stack:
            for _ in range(50):
                stack.enter_context(socket.create_connection(place))
            worker.settimeout(10)
            accepted = [stack.enter_context(worker.accept()[0]) for _ in range(50)]
    assert 50 == len(accepted)


@pytest.fixture
def ended() -> int:
    """Give a port on which only connections are left that a server has closed (TIME_WAIT)."""
    server = bound("127.0.0.1", 0, socket.SO_REUSEADDR, listen=True)
    place = server.getsockname()
    with server, socket.create_connection(place) as client:
        accepted, _ = server.accept()
        accepted.close()
        client.recv(1)
    port: int = place[1]
    return port


def test_what_is_left_of_an_earlier_server_is_no_obstacle(ended: int) -> None:
    """A service can be restarted at once; its port is as well kept as any."""
    before = refusal("127.0.0.1", ended)
    with Reservation.make(f"127.0.0.1:{ended}") as reservation:
        refused = [refusal("127.0.0.1", ended, *options) for options in [(), (socket.SO_REUSEADDR,)]]
        shared = refusal("127.0.0.1", ended, socket.SO_REUSEADDR, socket.SO_REUSEPORT)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ended))
    assert [errno.EADDRINUSE, f"127.0.0.1:{ended}"] == [before, reservation.listen]
    assert ([errno.EADDRINUSE] * 2, None) == (refused, shared)


@pytest.mark.parametrize("left", [True, False])
def test_of_supervisors_that_come_at_once_one_gets_the_port(left: bool, ended: int) -> None:
    """Never two, whether connections of an earlier server are left or not."""
    if left:
        listen = f"127.0.0.1:{ended}"
    else:
        with Reservation.make("127.0.0.1:0") as free:
            listen = free.listen
    racers = 4
    winners = []
    for _ in range(50):
        barrier = Barrier(racers)

        def race(barrier: Barrier = barrier) -> Reservation | None:
            barrier.wait()
            try:
                return Reservation.make(listen)
            except ListenError:
                return None

        with ThreadPoolExecutor(racers) as pool, ExitStack() as stack:
            won = [
                stack.enter_context(one)
                for one in pool.map(lambda _: race(), range(racers))
                if one is not None
            ]
            winners.append(len(won))
    assert {1} == set(winners) - {0}


def test_a_port_that_is_taken_on_one_address_is_taken() -> None:
    """On localhost half of the clients would reach somebody else."""
    with bound("::1", 0, listen=True) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            Reservation.make(f"localhost:{port}")
    expected = (
        f"can't listen on localhost:{port}: the port is taken; choose another with --listen or PECIA_LISTEN"
    )
    assert expected == str(caught.value)


def test_an_address_of_another_machine_is_refused() -> None:
    """192.0.2.0/24 is nobody's (RFC 5737)."""
    with pytest.raises(ListenError, match="the address is not this machine's"):
        Reservation.make("192.0.2.1:0")


def test_only_linux_spreads_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere one of the workers would get them all."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(StartError, match="several workers need Linux"):
        Reservation.make("127.0.0.1:0")

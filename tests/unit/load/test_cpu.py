"""Whose processor time is measured."""

import os
import socket
import subprocess
import sys

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs
from load.cpu import cpu_seconds, listeners

SECONDS = 0.2
SPIN = f"""
import time
while time.process_time() < {SECONDS}:
    pass
print(flush=True)
input()
"""


def test_who_listens_on_a_loopback_target_is_found() -> None:
    """So that nobody has to look up the process of a server beside the harness."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert [os.getpid()] == listeners(f"127.0.0.1:{port}")
    assert [] == listeners(f"127.0.0.1:{port}")


def test_a_target_elsewhere_has_no_process_here() -> None:
    """What listens on the same port of this machine is another server."""
    assert [[], []] == [listeners("pecia.example:22"), listeners("unix:/run/pecia.sock")]


def test_the_time_of_workers_is_their_supervisors() -> None:
    """Descendants count, each once; what has ended is not known."""
    with subprocess.Popen(
        (sys.executable, "-c", SPIN), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        alone = psutil.Process().cpu_times()
        together = cpu_seconds([os.getpid()])
        twice = cpu_seconds([os.getpid(), worker.pid])
        worker.communicate(b"\n")
    assert together is not None
    assert twice is not None
    # The kernel counts in hundredths of a second, rounded down.
    own, counted_again = together - alone.user - alone.system, twice - together
    assert (True, True) == (own >= SECONDS / 2, counted_again < SECONDS / 2)
    assert None is cpu_seconds([worker.pid])

"""How much processor time processes have used."""

from __future__ import annotations

from collections.abc import Iterable

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs

LOOPBACK = ("127.0.0.1:", "localhost:", "[::1]:")


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """Return the user and system time of processes and their descendants; None if one can't be read."""
    processes: set[psutil.Process] = set()
    try:
        for pid in pids:
            root = psutil.Process(pid)
            processes |= {root, *root.children(recursive=True)}
        times = [process.cpu_times() for process in processes]
    except psutil.Error:
        return None
    return float(sum(each.user + each.system for each in times))


def listeners(target: str) -> list[int]:
    """Return the processes of this machine that listen on a loopback target, as far as they may be seen."""
    if not target.startswith(LOOPBACK):
        return []
    port = int(target.rpartition(":")[2])
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return []
    return sorted(
        {
            each.pid
            for each in connections
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid is not None
        }
    )

"""How the operating system lends processors to a server's threads."""

from __future__ import annotations

import os
import sys

import structlog


def schedule(policy: str) -> None:
    """Have this thread, and those that it starts from now on, scheduled as `cpu_scheduling` says.

    A call wakes threads of gRPC several times. Each that takes the event loop's processor at once costs two
    switches; under "batch" they come a little later, and find more to do at a time. A policy that whoever
    started the server has chosen stays. Where batch is forbidden, that is logged; outside Linux nothing is
    done.
    """
    if policy != "batch" or sys.platform != "linux":
        return
    try:
        # sched(7): on waking, a thread under SCHED_BATCH interrupts no other; its share stays the same.
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as error:
        structlog.get_logger("pecia.server").warning("cpu_scheduling_refused", error=error.strerror)

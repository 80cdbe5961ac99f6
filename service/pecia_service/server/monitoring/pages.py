"""The pages for probes: /healthz and /readyz, in JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from pecia_service.server.monitoring.http_server import text_answer
from pecia_service.server.monitoring.loop_calls import LoopAwayError, LoopCalls
from pecia_service.server.monitoring.readiness import ReadinessReport

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LOOP_SECONDS: Final = 1.0
"""How long an event loop may take to answer until it counts as stuck."""

LOOP_STUCK: Final = "loop_stuck"


def health_page(loop: LoopCalls, seconds: float = LOOP_SECONDS) -> WSGIApplication:
    """Make the page that is 200 while the event loop answers in time, and else 503."""

    def answer() -> tuple[bool, dict[str, object]]:
        try:
            loop.ask(_nothing, seconds)
        except LoopAwayError:
            return False, {"healthy": False, "reasons": [LOOP_STUCK]}
        return True, {"healthy": True, "reasons": []}

    return json_page(answer)


def readiness_page(
    loop: LoopCalls,
    report: Callable[[], Coroutine[Any, Any, ReadinessReport]],
    seconds: float = LOOP_SECONDS,
) -> WSGIApplication:
    """Make the page that is 200 while a server is ready, and else 503 with the reasons."""

    def answer() -> tuple[bool, dict[str, object]]:
        try:
            found = loop.ask(report, seconds)
        except LoopAwayError:
            return False, {"ready": False, "reasons": [LOOP_STUCK]}
        return found.ready, {"ready": found.ready, "reasons": found.reasons, **found.details}

    return json_page(answer)


def json_page(answer: Callable[[], tuple[bool, dict[str, object]]]) -> WSGIApplication:
    """Make a page from what tells whether all is well, and the details: 200 or 503."""

    def page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET":
            return text_answer(
                start_response, HTTPStatus.METHOD_NOT_ALLOWED, "Only GET.\n", headers=[("Allow", "GET")]
            )
        well, body = answer()
        return text_answer(
            start_response,
            HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE,
            orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE).decode(),
            "application/json",
        )

    return page


async def _nothing() -> None:
    """Do nothing: that it is run at all is the answer."""

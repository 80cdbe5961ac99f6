"""The calls of AdminService, blocking."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from pecia.v1 import admin_service_pb2 as pb
from pecia.v1.admin_service_pb2_grpc import AdminServiceStub
from pecia.v1.template_pb2 import TemplateErasure, TemplateRef

from pecia_client.calls import Calls
from pecia_client.requests import template_ref


class AdminCalls:
    """Do what only administrators may.

    Every method takes `timeout` in seconds and raises `PeciaError` when its call fails. A list follows its
    pages by itself; its timeout holds for each page.
    """

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._admin = AdminServiceStub(channel)
        self._admin_calls = calls

    def erase_template(
        self,
        template: str | TemplateRef,
        reason: str,
        *,
        request_id: str = "",
        timeout: float | None = None,
    ) -> pb.EraseTemplateResponse:
        """Take the text out of a template version for good; `erased` is false when it was gone already.

        Args:
            template: The version, named as `ID@VERSION`.
            reason: Why, for the history, which keeps it: it must not repeat the text.
            request_id: A UUID for the caller's own logs.
            timeout: Seconds; None means the client's default.

        """
        request = pb.EraseTemplateRequest(
            template=template_ref(template), reason=reason, request_id=request_id
        )
        return self._admin_calls.unary(self._admin.EraseTemplate, request, timeout)

    def list_template_erasures(
        self, template_id: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[TemplateErasure]:
        """Yield who erased what when and why, of versions of one template or of all."""
        request = pb.ListTemplateErasuresRequest(template_id=template_id, page_size=page_size)
        return self._admin_calls.pages(
            self._admin.ListTemplateErasures, request, lambda page: page.erasures, timeout
        )

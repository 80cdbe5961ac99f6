"""AdminService: erasing the text of templates, and the history of that."""

from __future__ import annotations

from collections.abc import Callable

from pecia.v1 import admin_service_pb2 as pb
from pecia.v1 import admin_service_pb2_grpc

from pecia_service.access.model import Caller
from pecia_service.paging import PageRequest
from pecia_service.registry.erasure import Erasures
from pecia_service.registry.model import TemplateRef
from pecia_service.server.context import Context
from pecia_service.server.convert.erasures import erasure_to_proto
from pecia_service.server.requests import check_request_id


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Translates between the contract and what administrators do."""

    def __init__(self, *, erasures: Erasures, caller: Callable[[Context], Caller]) -> None:
        self._erasures = erasures
        self._caller = caller

    async def EraseTemplate(  # noqa: N802
        self, request: pb.EraseTemplateRequest, context: Context
    ) -> pb.EraseTemplateResponse:
        """Take the text out of a template version."""
        check_request_id(request.request_id)
        caller = self._caller(context)
        outcome = await self._erasures.erase_template(
            caller.tenant_id,
            TemplateRef(request.template.template_id, request.template.semver),
            reason=request.reason,
            actor=caller.principal,
        )
        return pb.EraseTemplateResponse(erasure=erasure_to_proto(outcome.erasure), erased=outcome.erased)

    async def ListTemplateErasures(  # noqa: N802
        self, request: pb.ListTemplateErasuresRequest, context: Context
    ) -> pb.ListTemplateErasuresResponse:
        """List what was erased."""
        page = await self._erasures.list_erasures(
            self._caller(context).tenant_id,
            request.template_id,
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListTemplateErasuresResponse(
            erasures=[erasure_to_proto(erasure) for erasure in page.items], next_page_token=page.next_token
        )

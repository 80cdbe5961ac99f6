"""RegistryService: publishing and reading pieces, and moving labels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pecia.v1 import registry_service_pb2 as pb
from pecia.v1 import registry_service_pb2_grpc

from pecia_service.access.model import Caller
from pecia_service.paging import PageRequest
from pecia_service.registry.diff import Side, diff_bundles
from pecia_service.registry.model import StoredTemplate
from pecia_service.registry.service import Registry
from pecia_service.rendering.generator import PromptGenerator
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.server.context import Context
from pecia_service.server.convert.checks import diff_to_proto
from pecia_service.server.convert.pieces import (
    bundle_from_proto,
    bundle_summary_to_proto,
    bundle_to_proto,
    constraints_to_proto,
    label_event_to_proto,
    label_to_proto,
    payload_path_to_proto,
    template_from_proto,
    template_ref_from_proto,
    template_summary_to_proto,
    template_to_proto,
)
from pecia_service.server.requests import check_request_id, resolve_ref


class RegistryServicer(registry_service_pb2_grpc.RegistryServiceServicer):
    """Translates between the contract and the registry's use cases."""

    def __init__(
        self,
        *,
        registry: Registry,
        generator: Callable[[str], PromptGenerator],
        caller: Callable[[Context], Caller],
    ) -> None:
        self._registry = registry
        self._generator = generator
        self._caller = caller

    async def PublishTemplate(  # noqa: N802
        self, request: pb.PublishTemplateRequest, context: Context
    ) -> pb.PublishTemplateResponse:
        """Store a template version for good."""
        check_request_id(request.request_id)
        template = template_from_proto(request.template, "template")
        published = await self._registry.publish_template(self._caller(context).tenant_id, template)
        return pb.PublishTemplateResponse(
            template=template_to_proto(published.piece, published.published_at), created=published.created
        )

    async def GetTemplate(  # noqa: N802
        self, request: pb.GetTemplateRequest, context: Context
    ) -> pb.GetTemplateResponse:
        """Read a template version."""
        ref = template_ref_from_proto(request.template, "template")
        found = await self._registry.get_template(self._caller(context).tenant_id, ref)
        if isinstance(found, StoredTemplate):
            template = template_to_proto(found.template, found.published_at)
        else:
            template = template_summary_to_proto(found)
        return pb.GetTemplateResponse(template=template)

    async def ListTemplates(  # noqa: N802
        self, request: pb.ListTemplatesRequest, context: Context
    ) -> pb.ListTemplatesResponse:
        """List template versions."""
        page = await self._registry.list_templates(
            self._caller(context).tenant_id,
            request.template_id,
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListTemplatesResponse(
            templates=[template_summary_to_proto(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def PublishBundle(  # noqa: N802
        self, request: pb.PublishBundleRequest, context: Context
    ) -> pb.PublishBundleResponse:
        """Store a bundle version for good."""
        check_request_id(request.request_id)
        bundle = bundle_from_proto(request.bundle, "bundle")
        published = await self._registry.publish_bundle(self._caller(context).tenant_id, bundle)
        return pb.PublishBundleResponse(
            bundle=bundle_to_proto(
                published.piece, published.published_at, published.piece.stored_bundle_hash or ""
            ),
            created=published.created,
        )

    async def GetBundle(  # noqa: N802
        self, request: pb.GetBundleRequest, context: Context
    ) -> pb.GetBundleResponse:
        """Read a bundle version, what it needs, and its constraints."""
        tenant_id = self._caller(context).tenant_id
        resolved = await resolve_ref(self._generator(tenant_id), request.bundle, "bundle")
        bundle = resolved.bundle
        stored = await self._registry.get_bundle(tenant_id, bundle.bundle_id, bundle.semver)
        return pb.GetBundleResponse(
            bundle=bundle_to_proto(bundle, stored.published_at, resolved.bundle_hash),
            payload_paths=[payload_path_to_proto(path) for path in resolved.payload_paths()],
            effective_constraints=constraints_to_proto(resolved.constraints),
        )

    async def ListBundles(  # noqa: N802
        self, request: pb.ListBundlesRequest, context: Context
    ) -> pb.ListBundlesResponse:
        """List bundle versions."""
        page = await self._registry.list_bundles(
            self._caller(context).tenant_id,
            request.bundle_id,
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListBundlesResponse(
            bundles=[bundle_summary_to_proto(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DiffBundles(  # noqa: N802
        self, request: pb.DiffBundlesRequest, context: Context
    ) -> pb.DiffBundlesResponse:
        """Compare two bundle versions slot by slot."""
        generator = self._generator(self._caller(context).tenant_id)
        before = await resolve_ref(generator, request.before, "before")
        after = await resolve_ref(generator, request.after, "after")
        return diff_to_proto(await asyncio.to_thread(diff_bundles, _side(before), _side(after)))

    async def SetLabel(self, request: pb.SetLabelRequest, context: Context) -> pb.SetLabelResponse:  # noqa: N802
        """Create a label or move it."""
        caller = self._caller(context)
        label = await self._registry.set_label(
            caller.tenant_id,
            bundle_id=request.bundle_id,
            label=request.label,
            semver=request.semver,
            etag=request.etag if request.HasField("etag") else None,
            actor=caller.principal,
            request_id=request.request_id,
        )
        return pb.SetLabelResponse(label=label_to_proto(label))

    async def RollBackLabel(  # noqa: N802
        self, request: pb.RollBackLabelRequest, context: Context
    ) -> pb.RollBackLabelResponse:
        """Move a label to the version before."""
        caller = self._caller(context)
        label = await self._registry.roll_back_label(
            caller.tenant_id,
            bundle_id=request.bundle_id,
            label=request.label,
            etag=request.etag,
            actor=caller.principal,
            request_id=request.request_id,
        )
        return pb.RollBackLabelResponse(label=label_to_proto(label))

    async def DeleteLabel(  # noqa: N802
        self, request: pb.DeleteLabelRequest, context: Context
    ) -> pb.DeleteLabelResponse:
        """Remove a label; its history stays."""
        caller = self._caller(context)
        await self._registry.delete_label(
            caller.tenant_id,
            bundle_id=request.bundle_id,
            label=request.label,
            etag=request.etag,
            actor=caller.principal,
            request_id=request.request_id,
        )
        return pb.DeleteLabelResponse()

    async def ListLabels(  # noqa: N802
        self, request: pb.ListLabelsRequest, context: Context
    ) -> pb.ListLabelsResponse:
        """List labels."""
        page = await self._registry.list_labels(
            self._caller(context).tenant_id,
            request.bundle_id,
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListLabelsResponse(
            labels=[label_to_proto(label) for label in page.items], next_page_token=page.next_token
        )

    async def ListLabelEvents(  # noqa: N802
        self, request: pb.ListLabelEventsRequest, context: Context
    ) -> pb.ListLabelEventsResponse:
        """List the history of a bundle's labels."""
        page = await self._registry.list_label_events(
            self._caller(context).tenant_id,
            request.bundle_id,
            request.label,
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListLabelEventsResponse(
            events=[label_event_to_proto(event) for event in page.items], next_page_token=page.next_token
        )


def _side(resolved: ResolvedBundle) -> Side:
    return Side(resolved.bundle, resolved.templates, resolved.bundle_hash)

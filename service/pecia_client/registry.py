"""The calls of RegistryService, blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
from pecia.v1 import registry_service_pb2 as pb
from pecia.v1.bundle_pb2 import Bundle, BundleDefinition, BundleRef
from pecia.v1.label_pb2 import Label, LabelEvent
from pecia.v1.registry_service_pb2_grpc import RegistryServiceStub
from pecia.v1.template_pb2 import Template, TemplateDefinition, TemplateRef

from pecia_client.calls import Calls
from pecia_client.requests import bundle_ref, template_ref


class RegistryCalls:
    """Publish and read templates and bundles, and move labels.

    Every method takes `timeout` in seconds and raises `PeciaError` when its call fails. A list follows its
    pages by itself; its timeout holds for each page.
    """

    def __init__(self, channel: grpc.Channel, calls: Calls, new_request_id: Callable[[], str]) -> None:
        self._registry = RegistryServiceStub(channel)
        self._registry_calls = calls
        self._new_label_request_id = new_request_id

    def publish_template(
        self, template: TemplateDefinition, *, request_id: str = "", timeout: float | None = None
    ) -> pb.PublishTemplateResponse:
        """Store a template version for good; `created` is false when the same one was there already."""
        request = pb.PublishTemplateRequest(template=template, request_id=request_id)
        return self._registry_calls.unary(self._registry.PublishTemplate, request, timeout)

    def get_template(self, template: str | TemplateRef, *, timeout: float | None = None) -> Template:
        """Read a template version, named as `ID@VERSION`, with its content."""
        request = pb.GetTemplateRequest(template=template_ref(template))
        response = self._registry_calls.unary(self._registry.GetTemplate, request, timeout)
        return response.template

    def list_templates(
        self, template_id: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[Template]:
        """Yield template versions without their content, of one template or of all."""
        request = pb.ListTemplatesRequest(template_id=template_id, page_size=page_size)
        return self._registry_calls.pages(
            self._registry.ListTemplates, request, lambda page: page.templates, timeout
        )

    def publish_bundle(
        self, bundle: BundleDefinition, *, request_id: str = "", timeout: float | None = None
    ) -> pb.PublishBundleResponse:
        """Store a bundle version for good; `created` is false when the same one was there already."""
        request = pb.PublishBundleRequest(bundle=bundle, request_id=request_id)
        return self._registry_calls.unary(self._registry.PublishBundle, request, timeout)

    def get_bundle(self, bundle: str | BundleRef, *, timeout: float | None = None) -> pb.GetBundleResponse:
        """Read a bundle, named as `ID@VERSION` or `ID@LABEL`, what it reads, and its constraints."""
        request = pb.GetBundleRequest(bundle=bundle_ref(bundle))
        return self._registry_calls.unary(self._registry.GetBundle, request, timeout)

    def list_bundles(
        self, bundle_id: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[Bundle]:
        """Yield bundle versions, of one bundle or of all."""
        request = pb.ListBundlesRequest(bundle_id=bundle_id, page_size=page_size)
        return self._registry_calls.pages(
            self._registry.ListBundles, request, lambda page: page.bundles, timeout
        )

    def diff_bundles(
        self, before: str | BundleRef, after: str | BundleRef, *, timeout: float | None = None
    ) -> pb.DiffBundlesResponse:
        """Compare two bundle versions slot by slot."""
        request = pb.DiffBundlesRequest(before=bundle_ref(before), after=bundle_ref(after))
        return self._registry_calls.unary(self._registry.DiffBundles, request, timeout)

    def set_label(
        self,
        bundle_id: str,
        label: str,
        semver: str,
        *,
        etag: str | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> Label:
        """Point a label at a version.

        Args:
            bundle_id: The bundle.
            label: Its label, for instance "production".
            semver: An existing version.
            etag: None moves whatever is there; "" demands that the label be new; else its current etag.
            request_id: A UUID under which a retry answers the first outcome; made up when empty.
            timeout: Seconds; None means the client's default.

        """
        request = pb.SetLabelRequest(
            bundle_id=bundle_id,
            label=label,
            semver=semver,
            etag=etag,
            request_id=request_id or self._new_label_request_id(),
        )
        return (self._registry_calls.unary(self._registry.SetLabel, request, timeout)).label

    def roll_back_label(
        self,
        bundle_id: str,
        label: str,
        etag: str,
        *,
        request_id: str = "",
        timeout: float | None = None,
    ) -> Label:
        """Move a label, which must have this etag, to the version before its current entry."""
        request = pb.RollBackLabelRequest(
            bundle_id=bundle_id,
            label=label,
            etag=etag,
            request_id=request_id or self._new_label_request_id(),
        )
        return (self._registry_calls.unary(self._registry.RollBackLabel, request, timeout)).label

    def delete_label(
        self,
        bundle_id: str,
        label: str,
        *,
        etag: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> None:
        """Delete a label; with an etag only if the label has it. Its history stays."""
        request = pb.DeleteLabelRequest(
            bundle_id=bundle_id,
            label=label,
            etag=etag,
            request_id=request_id or self._new_label_request_id(),
        )
        self._registry_calls.unary(self._registry.DeleteLabel, request, timeout)

    def list_labels(
        self, bundle_id: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[Label]:
        """Yield labels, of one bundle or of all."""
        request = pb.ListLabelsRequest(bundle_id=bundle_id, page_size=page_size)
        return self._registry_calls.pages(
            self._registry.ListLabels, request, lambda page: page.labels, timeout
        )

    def list_label_events(
        self, bundle_id: str, label: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[LabelEvent]:
        """Yield the history of one label or of all labels of a bundle, newest first."""
        request = pb.ListLabelEventsRequest(bundle_id=bundle_id, label=label, page_size=page_size)
        return self._registry_calls.pages(
            self._registry.ListLabelEvents, request, lambda page: page.events, timeout
        )

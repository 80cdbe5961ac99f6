"""Render here what a server has published, with blocking calls for what is not known yet."""

from __future__ import annotations

from collections.abc import Mapping

from pecia.v1.bundle_pb2 import BundleRef
from pecia.v1.payload_pb2 import DerivedPayload
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.renderer import DEFAULT_MAX_PROMPT_BYTES, Renderer

from pecia_client.client import Client
from pecia_client.errors import PeciaError
from pecia_client.offline.cache import BundleCache
from pecia_client.offline.pieces import template_refs
from pecia_client.offline.render import OfflineRender, RenderJob
from pecia_client.requests import bundle_ref


class OfflineRenderer:
    """Render in this process, from bundles that are fetched once; safe to share between threads.

    Nothing is recorded: no audit record, no receipt, nothing to replay. The server is asked for a bundle that
    is not in the cache or has become too old, and, unless the cache allows otherwise, where a label points.

    Attributes:
        cache: The bundles that are kept.

    """

    def __init__(
        self,
        client: Client,
        cache: BundleCache | None = None,
        *,
        max_prompt_bytes: int = DEFAULT_MAX_PROMPT_BYTES,
    ) -> None:
        """Make a renderer that fetches through a client, which stays the caller's to close.

        Args:
            client: Fetches, with its deadlines and retries.
            cache: Keeps what was fetched; None means one with the default bounds.
            max_prompt_bytes: The largest prompt, in bytes of UTF-8; the default is the server's default.

        """
        self.cache = BundleCache() if cache is None else cache
        self._client = client
        self._renderer = Renderer(max_prompt_bytes)

    def render(
        self,
        bundle: str | BundleRef,
        *,
        payload: Mapping[str, object] | DerivedPayload,
        model_type: str = "",
    ) -> OfflineRender:
        """Render one prompt from `ID@VERSION` or `ID@LABEL`.

        Args:
            bundle: The published bundle.
            payload: The four payload fields.
            model_type: Refused unless among the bundle's tags; empty means no check.

        Raises:
            PeciaError: What Render refuses, or the bundle can't be fetched; also PIECE_DAMAGED where an
                answer does not have its hashes, and TEMPLATE_ERASED.
            ValueError: The reference is malformed, or the payload cannot be carried exactly.

        """
        ref = bundle_ref(bundle)
        return RenderJob.checked(payload, model_type).run(self._resolve(ref), self._renderer)

    def prefetch(self, *bundles: str | BundleRef) -> None:
        """Fetch bundles that are not known yet, so that no render has to wait; raises as `render`."""
        for bundle in bundles:
            self._resolve(bundle_ref(bundle))

    def _resolve(self, ref: BundleRef) -> ResolvedBundle:
        return self.cache.find(ref) or self._fetch(ref)

    def _fetch(self, ref: BundleRef) -> ResolvedBundle:
        question = self.cache.ask(ref)
        try:
            answer = self._client.get_bundle(ref).bundle
            known = question.known(answer)
            if known is not None:
                return known
            return question.keep(answer, [self._client.get_template(each) for each in template_refs(answer)])
        except PeciaError as error:
            return question.failed(error)

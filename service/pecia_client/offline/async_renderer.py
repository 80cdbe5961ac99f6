"""Render here what a server has published, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import grpc
from pecia.v1 import bundle_pb2
from pecia.v1.bundle_pb2 import BundleRef
from pecia.v1.payload_pb2 import DerivedPayload
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.renderer import DEFAULT_MAX_PROMPT_BYTES, Renderer

from pecia_client.async_client import AsyncClient
from pecia_client.errors import PeciaError
from pecia_client.offline.cache import BundleCache, Question
from pecia_client.offline.pieces import template_refs
from pecia_client.offline.render import OfflineRender, RenderJob
from pecia_client.requests import bundle_ref

_Version: TypeAlias = tuple[str, str, int]
"""A bundle's id and exact version, and the era of the cache in which it is fetched."""


class AsyncOfflineRenderer:
    """Render in this process, from bundles that are fetched once; share it between the tasks of one loop.

    Nothing is recorded: no audit record, no receipt, nothing to replay. The server is asked for a bundle that
    is not in the cache or has become too old, once for all tasks that want it meanwhile, and, unless the
    cache allows otherwise, where a label points.

    Attributes:
        cache: The bundles that are kept.

    """

    def __init__(
        self,
        client: AsyncClient,
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
        self._fetches: dict[_Version, asyncio.Task[ResolvedBundle]] = {}

    async def render(
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
        job = RenderJob.checked(payload, model_type)
        return job.run(await self._resolve(ref), self._renderer)

    async def prefetch(self, *bundles: str | BundleRef) -> None:
        """Fetch bundles that are not known yet, so that no render has to wait; raises as `render`."""
        await asyncio.gather(*(self._resolve(bundle_ref(bundle)) for bundle in bundles))

    async def _resolve(self, ref: BundleRef) -> ResolvedBundle:
        found = self.cache.find(ref)
        if found is not None:
            return found
        if ref.WhichOneof("selector") == "label":
            return await self._resolve_label(ref)
        return await self._joined(ref.bundle_id, ref.semver, lambda: self._fetch_version(ref))

    async def _resolve_label(self, ref: BundleRef) -> ResolvedBundle:
        """Ask where a label points, each caller for itself: a question under way may be older than a move."""
        question = self.cache.ask(ref)
        try:
            bundle = (await self._client.get_bundle(ref)).bundle
            known = question.known(bundle)
            if known is not None:
                return known
            definition = bundle.definition
            return await self._joined(
                definition.bundle_id, definition.semver, lambda: self._fetch_templates(question, bundle)
            )
        except PeciaError as error:
            return question.failed(error)

    async def _fetch_version(self, ref: BundleRef) -> ResolvedBundle:
        question = self.cache.ask(ref)
        try:
            bundle = (await self._client.get_bundle(ref)).bundle
            known = question.known(bundle)
            return known or await self._fetch_templates(question, bundle)
        except PeciaError as error:
            return question.failed(error)

    async def _fetch_templates(self, question: Question, bundle: bundle_pb2.Bundle) -> ResolvedBundle:
        refs = template_refs(bundle)
        return question.keep(bundle, await asyncio.gather(*map(self._client.get_template, refs)))

    async def _joined(
        self, bundle_id: str, semver: str, fetch: Callable[[], Coroutine[Any, Any, ResolvedBundle]]
    ) -> ResolvedBundle:
        """Fetch a version once for all who ask meanwhile; who stops waiting stops nobody else."""
        version = (bundle_id, semver, self.cache.era)
        task = self._fetches.get(version)
        if task is not None:
            try:
                return await asyncio.shield(task)
            except PeciaError as error:
                if error.code is not grpc.StatusCode.NOT_FOUND:
                    raise
            # That was asked before this caller came: what was not there may have been published since. A
            # fetch that has ended is let go of in the loop's next turn; any other has begun since.
            await asyncio.sleep(0)
            task = self._fetches.get(version)
        if task is None:
            task = self._fetches[version] = asyncio.create_task(fetch())
            task.add_done_callback(lambda done: self._fetched(version, done))
        return await asyncio.shield(task)

    def _fetched(self, version: _Version, task: asyncio.Task[ResolvedBundle]) -> None:
        del self._fetches[version]
        if not task.cancelled():
            # Keeps asyncio from reporting an error that nobody waits for any more.
            task.exception()

"""Render, compare and check from a directory, without a server or a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pecia_client.messages import (
    BundleRef,
    CheckOutputResponse,
    DerivedPayload,
    DiffBundlesResponse,
    RenderResponse,
)

from pecia_service.audit.sinks.null import NullAuditSink
from pecia_service.audit.sinks.tenant import TenantSink
from pecia_service.cli.failures import InputError
from pecia_service.registry.diff import Side, diff_bundles
from pecia_service.rendering.checking import OutputChecker
from pecia_service.rendering.generator import PromptGenerator, RenderOptions
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.directory import DirectoryError, read_directory
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource
from pecia_service.server.convert.checks import check_result_to_proto, diff_to_proto
from pecia_service.server.convert.outcomes import rendered_to_proto
from pecia_service.server.convert.pieces import payload_from_proto

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class OfflineDirectory:
    """Answers from the pieces in a directory what a server would that has published them.

    Nothing is recorded, so that receipts have no render_id. Raises DirectoryError for a directory in which
    anything is wrong.
    """

    def __init__(self, root: Path, now: Callable[[], datetime]) -> None:
        contents = read_directory(root)
        if contents.problems:
            raise DirectoryError(contents.problems)
        self._generator = PromptGenerator(
            InlineBundleSource(contents.bundles),
            InlineTemplateSource(contents.templates),
            Renderer(),
            TenantSink(NullAuditSink(), "", keep_prompt=False, keep_payload=False),
            clock=lambda: (now() - _EPOCH) // _MICROSECOND,
            new_id=str,
        )

    def render(
        self, bundle: BundleRef, payload: DerivedPayload, *, model_type: str = "", adapter_version: str = ""
    ) -> RenderResponse:
        """Render a prompt; raises Error."""
        options = RenderOptions.checked(model_type, adapter_version, validate_only=True)
        checked = payload_from_proto(payload)
        return rendered_to_proto(self._generator.render(self._resolve(bundle), checked, options))

    def diff(self, before: BundleRef, after: BundleRef) -> DiffBundlesResponse:
        """Compare two bundles slot by slot; raises Error."""
        return diff_to_proto(diff_bundles(_side(self._resolve(before)), _side(self._resolve(after))))

    def check(self, bundle: BundleRef, answer: str) -> CheckOutputResponse:
        """Measure a model's answer; raises Error."""
        resolved = self._resolve(bundle)
        return check_result_to_proto(OutputChecker(resolved.constraints).check(answer), resolved)

    def _resolve(self, bundle: BundleRef) -> ResolvedBundle:
        if bundle.label:
            raise InputError(
                f"{bundle.bundle_id}@{bundle.label} is a label, and labels live on a server; "
                "name an exact version such as companion@1.2.0"
            )
        return asyncio.run(self._generator.resolve(bundle.bundle_id, bundle.semver))


def _side(resolved: ResolvedBundle) -> Side:
    return Side(resolved.bundle, resolved.templates, resolved.bundle_hash)

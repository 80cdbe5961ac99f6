"""Render, compare and check from a directory, without a server or a database."""

from __future__ import annotations

import asyncio
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
from pecia_service.audit.sinks.turns import Turns
from pecia_service.cli.failures import InputError
from pecia_service.cli.output import counted
from pecia_service.cli.session import Session
from pecia_service.registry.diff import Side, diff_bundles
from pecia_service.rendering.checking import OutputChecker
from pecia_service.rendering.generator import PromptGenerator, RenderOptions
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.directory import read_directory
from pecia_service.rendering.sources.directory_pieces import (
    DirectoryBundleSource,
    DirectoryTemplateSource,
)
from pecia_service.server.convert.checks import check_result_to_proto, diff_to_proto
from pecia_service.server.convert.outcomes import rendered_to_proto
from pecia_service.server.convert.pieces import payload_from_proto

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class OfflineDirectory:
    """Answers from the pieces in a directory what a server would that has published them.

    Nothing is recorded, so that receipts have no render_id. Every method raises Error, and DirectoryError for
    pieces that are faulty, or missing where a fault may be why; faults elsewhere are only noted on stderr.
    """

    def __init__(self, root: Path, session: Session) -> None:
        contents = read_directory(root)
        self._root = root
        self._faults = len(contents.problems)
        self._session = session
        self._generator = PromptGenerator(
            DirectoryBundleSource(contents),
            DirectoryTemplateSource(contents),
            Renderer(),
            TenantSink(Turns(NullAuditSink()), "", keep_prompt=False, keep_payload=False),
            clock=lambda: (session.now() - _EPOCH) // _MICROSECOND,
            new_id=str,
        )

    def render(
        self, bundle: BundleRef, payload: DerivedPayload, *, model_type: str = "", adapter_version: str = ""
    ) -> RenderResponse:
        """Render a prompt."""
        options = RenderOptions.checked(model_type, adapter_version, validate_only=True)
        checked = payload_from_proto(payload)
        bundle_id, semver = _exact(bundle)
        rendered = asyncio.run(self._generator.render_from_bundle(bundle_id, semver, checked, options))
        self._note_faults()
        return rendered_to_proto(rendered)

    def diff(self, before: BundleRef, after: BundleRef) -> DiffBundlesResponse:
        """Compare two bundles slot by slot."""
        response = diff_to_proto(diff_bundles(_side(self._resolve(before)), _side(self._resolve(after))))
        self._note_faults()
        return response

    def check(self, bundle: BundleRef, answer: str) -> CheckOutputResponse:
        """Measure a model's answer."""
        resolved = self._resolve(bundle)
        response = check_result_to_proto(OutputChecker(resolved.constraints).check(answer), resolved)
        self._note_faults()
        return response

    def _resolve(self, bundle: BundleRef) -> ResolvedBundle:
        return asyncio.run(self._generator.resolve(*_exact(bundle)))

    def _note_faults(self) -> None:
        if self._faults:
            self._session.output.note(
                f"note: {self._root} has {counted(self._faults, 'fault')}, none in what was asked for; "
                f"see pecia lint {self._root}"
            )


def _exact(bundle: BundleRef) -> tuple[str, str]:
    if bundle.label:
        raise InputError(
            f"{bundle.bundle_id}@{bundle.label} is a label, and labels live on a server; "
            "name an exact version such as companion@1.2.0"
        )
    return bundle.bundle_id, bundle.semver


def _side(resolved: ResolvedBundle) -> Side:
    return Side(resolved.bundle, resolved.templates, resolved.bundle_hash)

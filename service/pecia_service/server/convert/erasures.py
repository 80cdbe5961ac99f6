"""Erasures of templates."""

from __future__ import annotations

from pecia.v1 import template_pb2

from pecia_service.registry.model import TemplateErasure
from pecia_service.server.convert.pieces import template_ref_to_proto
from pecia_service.server.convert.structs import to_text, to_timestamp


def erasure_to_proto(erasure: TemplateErasure) -> template_pb2.TemplateErasure:
    """Write an erasure, whatever of it was damaged."""
    return template_pb2.TemplateErasure(
        template=template_ref_to_proto(erasure.ref),
        definition_hash=to_text(erasure.definition_hash),
        erased_at=to_timestamp(erasure.erased_at),
        erased_by=to_text(erasure.erased_by),
        reason=to_text(erasure.reason),
    )

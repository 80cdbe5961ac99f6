"""Talk to a Pecia server from Python, with or without asyncio."""

from pecia_client.async_client import AsyncClient
from pecia_client.channel import DEFAULT_TARGET, check_target
from pecia_client.client import Client
from pecia_client.definitions import (
    bundle_definition,
    constraints_from_mapping,
    inline_bundle,
    template_definition,
)
from pecia_client.errors import PeciaError
from pecia_client.payload import payload_from_mapping
from pecia_client.references import parse_bundle_ref, parse_template_ref
from pecia_client.requests import audit_filter, render_request
from pecia_client.retry import RetryPolicy

__all__ = [
    "DEFAULT_TARGET",
    "AsyncClient",
    "Client",
    "PeciaError",
    "RetryPolicy",
    "audit_filter",
    "bundle_definition",
    "check_target",
    "constraints_from_mapping",
    "inline_bundle",
    "parse_bundle_ref",
    "parse_template_ref",
    "payload_from_mapping",
    "render_request",
    "template_definition",
]

"""The fourth stage: the scope that each RPC needs. The tenant is the caller's; no request names another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pecia_service.access.model import Caller, Scope
from pecia_service.errors import ErrorReason, PermissionDeniedError

_PROMPTS: Final = "/pecia.v1.PromptService/"
_REGISTRY: Final = "/pecia.v1.RegistryService/"
_ADMIN: Final = "/pecia.v1.AdminService/"
_CHANNELZ: Final = "/grpc.channelz.v1.Channelz/"

SCOPES: Final = {
    f"{_PROMPTS}Render": Scope.RENDER,
    f"{_PROMPTS}RenderBatch": Scope.RENDER,
    f"{_PROMPTS}RenderStream": Scope.RENDER,
    f"{_PROMPTS}CheckOutput": Scope.RENDER,
    f"{_PROMPTS}Replay": Scope.READ,
    f"{_PROMPTS}VerifyAudit": Scope.READ,
    f"{_PROMPTS}GetAuditRecord": Scope.READ,
    f"{_PROMPTS}ListAuditRecords": Scope.READ,
    f"{_PROMPTS}RedactAuditRecord": Scope.ADMIN,
    f"{_PROMPTS}PruneAuditRecords": Scope.ADMIN,
    f"{_REGISTRY}PublishTemplate": Scope.PUBLISH,
    f"{_REGISTRY}PublishBundle": Scope.PUBLISH,
    f"{_REGISTRY}GetTemplate": Scope.READ,
    f"{_REGISTRY}ListTemplates": Scope.READ,
    f"{_REGISTRY}GetBundle": Scope.READ,
    f"{_REGISTRY}ListBundles": Scope.READ,
    f"{_REGISTRY}DiffBundles": Scope.READ,
    f"{_REGISTRY}ListLabels": Scope.READ,
    f"{_REGISTRY}ListLabelEvents": Scope.READ,
    f"{_REGISTRY}SetLabel": Scope.LABEL,
    f"{_REGISTRY}RollBackLabel": Scope.LABEL,
    f"{_REGISTRY}DeleteLabel": Scope.LABEL,
    f"{_ADMIN}EraseTemplate": Scope.ADMIN,
    f"{_ADMIN}ListTemplateErasures": Scope.ADMIN,
    # Not of the contract, but it shows who is connected.
    f"{_CHANNELZ}GetTopChannels": Scope.ADMIN,
    f"{_CHANNELZ}GetServers": Scope.ADMIN,
    f"{_CHANNELZ}GetServer": Scope.ADMIN,
    f"{_CHANNELZ}GetServerSockets": Scope.ADMIN,
    f"{_CHANNELZ}GetChannel": Scope.ADMIN,
    f"{_CHANNELZ}GetSubchannel": Scope.ADMIN,
    f"{_CHANNELZ}GetSocket": Scope.ADMIN,
}
"""What a caller must be allowed to call each method, by its full name."""


def require_rows(methods: Iterable[str]) -> None:
    """Raise LookupError for methods that the table does not have: nobody could say who may call them."""
    missing = sorted(set(methods) - SCOPES.keys())
    if missing:
        raise LookupError(f"no scope is said to be needed for {', '.join(missing)}")


def check_scope(caller: Caller, method: str, scope: Scope) -> None:
    """Raise PermissionDeniedError (SCOPE_MISSING) unless the caller may call the method."""
    if scope not in caller.scopes:
        raise PermissionDeniedError(
            ErrorReason.SCOPE_MISSING,
            f"the credential lacks the scope {scope.value}; use one that has it",
            metadata={"method": method, "scope": scope.value},
        )

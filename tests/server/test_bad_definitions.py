"""Bad requests to RegistryService: refused with their fields named, and nothing is stored."""

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc import aio
from pecia.v1 import bundle_pb2, constraints_pb2, template_pb2
from pecia.v1 import registry_service_pb2 as registry_pb
from support.refused import fill, refuse
from support.server import live_server
from support.wire import SLOTS, bundle, template, version_ref

UNKNOWN = b"\x48\x01"
CONSTRAINTS = "template.constraints"


def publish_template(**fields: Any) -> registry_pb.PublishTemplateRequest:
    """Ask to publish a template whose other fields are in order."""
    values: dict[str, Any] = {"template_id": "extra", **fields}
    return registry_pb.PublishTemplateRequest(template=template(**values))


def constrained(further: dict[str, Any] | None = None, **fields: Any) -> registry_pb.PublishTemplateRequest:
    """Ask to publish a template with these constraints."""
    constraints = constraints_pb2.Constraints(**fields)
    if further:
        constraints.further.update(further)
    return publish_template(constraints=constraints)


def publish_bundle(**fields: Any) -> registry_pb.PublishBundleRequest:
    """Ask to publish a bundle whose other fields are in order."""
    return registry_pb.PublishBundleRequest(bundle=bundle(**{"semver": "2.0.0", **fields}))


def set_label(**fields: Any) -> registry_pb.SetLabelRequest:
    """Ask to set a label; what is not given is in order."""
    values = {"bundle_id": "companion", "label": "staging", "semver": "1.0.0", **fields}
    return registry_pb.SetLabelRequest(**values)


def nested(levels: int) -> dict[str, Any]:
    """Make an object of so many levels."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


# method, request, reason, fields
CASES: dict[str, tuple[str, Message, str, list[str]]] = {
    "publish a template in no version": (
        "PublishTemplate",
        publish_template(semver=""),
        "SEMVER_INVALID",
        ["template.semver"],
    ),
    **{
        f"publish a template in version {semver[:12]}": (
            "PublishTemplate",
            publish_template(semver=semver),
            "SEMVER_INVALID",
            ["template.semver"],
        )
        for semver in (
            "1.0",
            "01.0.0",
            "1.0.0-",
            "1.0.0-01",
            "v1.0.0",
            "1.0.0 ",
            "1.0.0+" + "b" * 250,
            "１.0.0",
        )
    },
    "publish a template of a bad id": (
        "PublishTemplate",
        publish_template(template_id="-extra"),
        "IDENTIFIER_INVALID",
        ["template.template_id"],
    ),
    "publish a template of no role": (
        "PublishTemplate",
        publish_template(role=template_pb2.ROLE_UNSPECIFIED),
        "FIELD_INVALID",
        ["template.role"],
    ),
    "publish a template of an unknown role": (
        "PublishTemplate",
        publish_template(role=7),
        "FIELD_INVALID",
        ["template.role"],
    ),
    "publish an empty template": (
        "PublishTemplate",
        publish_template(content="\n\n"),
        "FIELD_INVALID",
        ["template.content"],
    ),
    "publish a large template": (
        "PublishTemplate",
        publish_template(content="x" * 262_145),
        "SIZE_EXCEEDED",
        ["template.content"],
    ),
    "publish a template with several faults": (
        "PublishTemplate",
        publish_template(template_id="", semver="1", content="{{", description="d" * 4097),
        "IDENTIFIER_INVALID",
        ["template.template_id", "template.semver", "template.content", "template.description"],
    ),
    "publish without a template": (
        "PublishTemplate",
        registry_pb.PublishTemplateRequest(),
        "IDENTIFIER_INVALID",
        ["template.template_id", "template.semver", "template.role", "template.content"],
    ),
    "publish with a request id that is none": (
        "PublishTemplate",
        registry_pb.PublishTemplateRequest(template=template("extra"), request_id="1"),
        "FIELD_INVALID",
        ["request_id"],
    ),
    "constrain by too many tokens": (
        "PublishTemplate",
        constrained(forbidden_tokens=[f"t{i}" for i in range(257)]),
        "SIZE_EXCEEDED",
        [f"{CONSTRAINTS}.FORBIDDEN_TOKENS"],
    ),
    "constrain to no words": (
        "PublishTemplate",
        constrained(max_sentence_length=0),
        "CONSTRAINTS_INVALID",
        [f"{CONSTRAINTS}.MAX_SENTENCE_LENGTH"],
    ),
    "constrain to a level that is NaN": (
        "PublishTemplate",
        constrained(assertiveness_level=float("nan")),
        "CONSTRAINTS_INVALID",
        [f"{CONSTRAINTS}.ASSERTIVENESS_LEVEL"],
    ),
    "constrain by a further key that has a field": (
        "PublishTemplate",
        constrained({"NO_EMOJI": True}),
        "CONSTRAINTS_INVALID",
        [f"{CONSTRAINTS}.further"],
    ),
    "constrain by an infinite further number": (
        "PublishTemplate",
        constrained({"X": float("inf")}),
        "CONSTRAINTS_INVALID",
        [f"{CONSTRAINTS}.X"],
    ),
    "constrain by further keys that are too deep": (
        "PublishTemplate",
        constrained(nested(9)),
        "SIZE_EXCEEDED",
        [CONSTRAINTS + ".a" * 8],
    ),
    "publish a bundle without slots": (
        "PublishBundle",
        registry_pb.PublishBundleRequest(bundle=bundle_pb2.BundleDefinition(bundle_id="b", semver="1.0.0")),
        "FIELD_INVALID",
        [f"bundle.slots.{field}" for field in SLOTS],
    ),
    "publish a bundle with a tag twice": (
        "PublishBundle",
        publish_bundle(tags=["a", " a "]),
        "FIELD_INVALID",
        ["bundle.tags[1]"],
    ),
    "publish a bundle with 65 tags": (
        "PublishBundle",
        publish_bundle(tags=[f"t{i}" for i in range(65)]),
        "SIZE_EXCEEDED",
        ["bundle.tags"],
    ),
    "publish a bundle that names a bad version": (
        "PublishBundle",
        publish_bundle(versions={"task": "1"}),
        "SEMVER_INVALID",
        ["bundle.slots.task.semver"],
    ),
    "set a label that is a version": ("SetLabel", set_label(label="v2"), "IDENTIFIER_INVALID", ["label"]),
    "set a label to no version": ("SetLabel", set_label(semver=""), "SEMVER_INVALID", ["semver"]),
    "set a label by a request id that is none": (
        "SetLabel",
        set_label(request_id="1"),
        "FIELD_INVALID",
        ["request_id"],
    ),
    "roll a label back without an etag": (
        "RollBackLabel",
        registry_pb.RollBackLabelRequest(bundle_id="companion", label="staging"),
        "FIELD_INVALID",
        ["etag"],
    ),
    "delete a label of a bad bundle": (
        "DeleteLabel",
        registry_pb.DeleteLabelRequest(label="staging"),
        "IDENTIFIER_INVALID",
        ["bundle_id"],
    ),
    "list the history of no bundle": (
        "ListLabelEvents",
        registry_pb.ListLabelEventsRequest(),
        "IDENTIFIER_INVALID",
        ["bundle_id"],
    ),
    "diff one bundle": (
        "DiffBundles",
        registry_pb.DiffBundlesRequest(before=version_ref()),
        "FIELD_INVALID",
        ["after.semver"],
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_bad_request_is_refused(case: str, migrated_database_url: str) -> None:
    """All of its bad fields are named, and nothing is stored."""
    method, request, reason, fields = CASES[case]
    async with live_server(migrated_database_url) as server:
        await fill(server)
        failure = await refuse(server, method, request)
    assert (grpc.StatusCode.INVALID_ARGUMENT, reason) == (failure.code, failure.reason)
    assert fields == [field for field, _ in failure.violations]


async def test_unknown_fields_of_a_definition_are_ignored(migrated_database_url: str) -> None:
    """A newer client's fields of a template change nothing in what is published."""
    definition = template("extra")
    definition.MergeFromString(UNKNOWN)
    async with live_server(migrated_database_url) as server:
        first = await server.registry.PublishTemplate(publish_template())
        again = await server.registry.PublishTemplate(registry_pb.PublishTemplateRequest(template=definition))
    assert (True, False) == (first.created, again.created)


async def test_a_message_beyond_the_limit_is_refused_by_grpc(migrated_database_url: str) -> None:
    """A request that is larger than the server reads is RESOURCE_EXHAUSTED."""
    async with live_server(migrated_database_url, max_request_bytes="65536") as server:
        with pytest.raises(aio.AioRpcError) as caught:
            await server.registry.PublishTemplate(publish_template(content="x" * 65_536))
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()

"""Cases about pieces that are published, and labels that point to them."""

from clients.python.checks import Checks, wrong
from clients.python.vectors import (
    bundle_definition_hash,
    bundle_hash,
    content_hash,
    sha256,
    template_definition_hash,
)
from clients.python.world import World, bundle_of, refused, template_of
from pecia.v1.label_pb2 import LabelAction

LABEL = "production"


def publish(world: World, checks: Checks) -> str:
    """Publish four templates and their bundle, each twice, and compare their hashes."""
    for slot, template in world.templates.items():
        checks.where = f"template of {slot}"
        message = template_of(template)
        first = world.client.publish_template(message)
        checks.equal("created", True, first.created)
        checks.equal("content_hash", content_hash(template), first.template.content_hash)
        own = template_definition_hash(template)
        checks.equal("definition_hash", own, first.template.definition_hash)
        again = world.client.publish_template(message)
        checks.equal("created again", False, again.created)
        checks.equal("definition_hash again", own, again.template.definition_hash)
    checks.where = "another definition under the same version"
    changed = template_of(world.templates["system"])
    changed.content += " changed"
    error = refused(lambda: world.client.publish_template(changed))
    checks.equal("code", "ALREADY_EXISTS", error.code.name)
    checks.equal("reason", "TEMPLATE_ALREADY_EXISTS", error.reason)
    checks.where = "bundle"
    bundle = world.bundle("1.0.0")
    created = world.client.publish_bundle(bundle_of(bundle))
    checks.equal("created", True, created.created)
    own = bundle_definition_hash(bundle)
    checks.equal("definition_hash", own, created.bundle.definition_hash)
    checks.equal("bundle_hash", bundle_hash(bundle, world.templates), created.bundle.bundle_hash)
    unchanged = world.client.publish_bundle(bundle_of(bundle))
    checks.equal("created again", False, unchanged.created)
    checks.equal("definition_hash again", own, unchanged.bundle.definition_hash)
    world.mark_published()
    return ""


def label(world: World, checks: Checks) -> str:
    """Set a label, render by it, move it by its etag, and read its history."""
    world.require_published()
    client, bundle_id, reference = world.client, world.bundle_id, f"{world.bundle_id}@{LABEL}"
    checks.where = "new label"
    first = client.set_label(bundle_id, LABEL, "1.0.0", etag="")
    checks.equal("semver", "1.0.0", first.semver)
    checks.where = "render by label"
    rendered = client.render(reference, payload=world.payload())
    checks.equal("semver", "1.0.0", rendered.receipt.semver)
    checks.equal("prompt_hash", sha256(rendered.prompt.encode()), rendered.receipt.prompt_hash)
    checks.where = "wrong etag"
    error = refused(lambda: client.set_label(bundle_id, LABEL, "1.0.0", etag="not-an-etag"))
    checks.equal("code", "ABORTED", error.code.name)
    checks.equal("reason", "ETAG_MISMATCH", error.reason)
    checks.where = "right etag"
    client.publish_bundle(bundle_of(world.bundle("1.1.0")))
    moved = client.set_label(bundle_id, LABEL, "1.1.0", etag=first.etag)
    checks.equal("semver", "1.1.0", moved.semver)
    checks.equal("etag has changed", True, moved.etag != first.etag)
    checks.where = "render by moved label"
    rendered = client.render(reference, payload=world.payload())
    checks.equal("semver", "1.1.0", rendered.receipt.semver)
    events = list(client.list_label_events(bundle_id, LABEL))
    expected = [(2, "1.0.0", "1.1.0"), (1, "", "1.0.0")]
    checks.where = "history"
    if len(events) != len(expected):
        raise wrong("number of events", len(expected), len(events))
    for event, (revision, from_semver, to_semver) in zip(events, expected, strict=True):
        checks.equal("revision", revision, event.revision)
        checks.equal("action", LabelAction.LABEL_ACTION_SET, event.action)
        checks.equal("from_semver", from_semver, event.from_semver)
        checks.equal("to_semver", to_semver, event.to_semver)
    return ""

"""What the cases share: the client, the vectors, and the pieces that they publish."""

from collections.abc import Callable, Mapping
from typing import Final

from clients.python.checks import wrong
from clients.python.vectors import SLOTS, Json, Vectors
from pecia.v1.bundle_pb2 import BundleDefinition, InlineBundle
from pecia.v1.template_pb2 import TemplateDefinition
from pecia_client import Client, PeciaError, bundle_definition, inline_bundle, template_definition

CALL_SECONDS: Final = 20.0


class World:
    """The server through its client, the vectors, and what is published under the prefix.

    Attributes:
        client: The client of the server.
        vectors: The golden vectors.
        bundle_id: The id of the bundle that `publish` publishes.
        templates: The templates of that bundle by slot, as vectors have them.

    """

    def __init__(self, client: Client, vectors: Vectors, prefix: str) -> None:
        self.client = client
        self.vectors = vectors
        self.prefix = prefix
        self.bundle_id = f"{prefix}-bundle"
        given = vectors.render_input("text_and_json")
        self._payload: Mapping[str, Json] = given["payload"]
        by_id = {template["template_id"]: template for template in given["templates"]}
        self.templates: Mapping[str, Mapping[str, Json]] = {
            slot: {
                **by_id[given["bundle"]["slots"][slot]["template_id"]],
                "template_id": f"{prefix}-{slot}",
                "semver": "1.0.0",
            }
            for slot in SLOTS
        }
        self._published = False

    def bundle(self, semver: str) -> Mapping[str, Json]:
        """Return a version of the bundle, as vectors have it."""
        slots = {
            slot: {"template_id": template["template_id"], "semver": template["semver"]}
            for slot, template in self.templates.items()
        }
        return {"bundle_id": self.bundle_id, "semver": semver, "slots": slots}

    def payload(self, task: str | None = None) -> dict[str, Json]:
        """Return the payload for the bundle, with a task of its own if one is given."""
        return dict(self._payload) if task is None else {**self._payload, "task": task}

    def mark_published(self) -> None:
        """Remember that the bundle's version 1.0.0 is there."""
        self._published = True

    def require_published(self) -> str:
        """Return the reference to the bundle's version 1.0.0; raises LookupError if it is not published."""
        if not self._published:
            raise LookupError("needs the bundle of the case publish, which has failed")
        return f"{self.bundle_id}@1.0.0"


def template_of(template: Mapping[str, Json]) -> TemplateDefinition:
    """Return a vector's template as a message."""
    return template_definition(
        template["template_id"],
        template["semver"],
        template["content"],
        role=template["role"],
        # A reader of JSON that knows only doubles has made them of the counts too.
        constraints={
            key: int(value) if key in {"MAX_PARAGRAPHS", "MAX_SENTENCE_LENGTH"} else value
            for key, value in template["constraints"].items()
        },
    )


def bundle_of(bundle: Mapping[str, Json]) -> BundleDefinition:
    """Return a vector's bundle as a message."""
    slots = {slot: f"{ref['template_id']}@{ref['semver']}" for slot, ref in bundle["slots"].items()}
    return bundle_definition(bundle["bundle_id"], bundle["semver"], slots)


def inline_of(given: Mapping[str, Json]) -> InlineBundle:
    """Return the bundle of a render vector with its templates as a message."""
    return inline_bundle(bundle_of(given["bundle"]), [template_of(each) for each in given["templates"]])


def refused(call: Callable[[], object]) -> PeciaError:
    """Return the error of a call that must fail; raises WrongError when it succeeds."""
    try:
        call()
    except PeciaError as error:
        return error
    raise wrong("outcome of the call", "an error", "success")

"""Messages of pieces: to the domain, checked, and back without a loss."""

import math

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from pecia.v1 import bundle_pb2, constraints_pb2, label_pb2, payload_pb2, template_pb2
from pecia_service.canonical import JsonObject, JsonValue
from pecia_service.errors import ErrorReason, InvalidInputError
from pecia_service.registry.constraints import Constraints
from pecia_service.registry.model import (
    Label,
    LabelAction,
    LabelEvent,
    Role,
    Slot,
    TemplateRef,
    TemplateSummary,
)
from pecia_service.rendering.model import PayloadPath
from pecia_service.server.convert.pieces import (
    MAX_CONSTRAINTS_MESSAGE_BYTES,
    MAX_PAYLOAD_MESSAGE_BYTES,
    ROLE_TO_PROTO,
    SLOT_TO_PROTO,
    bundle_from_proto,
    bundle_to_proto,
    constraints_from_proto,
    constraints_to_proto,
    inline_bundle_from_proto,
    label_event_to_proto,
    label_to_proto,
    payload_from_proto,
    payload_path_to_proto,
    template_from_proto,
    template_ref_from_proto,
    template_ref_to_proto,
    template_summary_to_proto,
    template_to_proto,
)
from pecia_service.server.convert.structs import json_to_struct
from pecia_service.server.status import bounded_metadata
from support.domain import START
from support.pieces import make_payload
from support.raw import nested, number
from support.strategies import clean_text, json_objects
from support.wire import bundle, inline_bundle, payload, template, templates_of

STARTED = Timestamp(seconds=START // 10**6)


def refusal(call: object) -> InvalidInputError:
    """Return the error that a conversion is refused with."""
    assert callable(call)
    with pytest.raises(InvalidInputError) as caught:
        call()
    return caught.value


def fields_of(error: InvalidInputError) -> list[str]:
    """Return the fields that an error names."""
    return [violation.field for violation in error.violations]


@given(traits=json_objects, levels=st.tuples(st.floats(0, 1), st.floats(0, 1)), task=clean_text)
def test_payloads(traits: JsonObject, levels: tuple[float, float], task: str) -> None:
    """A payload that came over the wire is the one that was made here, to the hash."""
    message = payload_pb2.DerivedPayload(
        semantic_traits=json_to_struct(traits), activity_level=levels[0], stress=levels[1], task=task
    )
    received = payload_pb2.DerivedPayload.FromString(message.SerializeToString())
    assert make_payload(task, traits, *levels) == payload_from_proto(received)


def test_empty_values_are_values() -> None:
    """No traits, levels of zero and an empty task are a whole payload."""
    message = payload_pb2.DerivedPayload(semantic_traits={}, activity_level=0, stress=0, task="")
    expected = b'{"activity_level":0,"semantic_traits":{},"stress":0,"task":""}'
    assert expected == payload_from_proto(message).canonical


@pytest.mark.parametrize("name", ["semantic_traits", "activity_level", "stress", "task"])
def test_a_forgotten_field_is_no_zero(name: str) -> None:
    """Each field that is not set is refused by name."""
    message = payload()
    message.ClearField(name)
    error = refusal(lambda: payload_from_proto(message))
    assert (ErrorReason.PAYLOAD_INVALID, [f"payload.{name}"]) == (error.reason, fields_of(error))


def test_a_payload_that_is_not_there() -> None:
    """All four fields are named at once, below the path that is given."""
    error = refusal(lambda: payload_from_proto(payload_pb2.DerivedPayload(), "claim.payload"))
    names = ("semantic_traits", "activity_level", "stress", "task")
    assert sorted(f"claim.payload.{name}" for name in names) == sorted(fields_of(error))


@pytest.mark.parametrize("level", [math.nan, math.inf, -math.inf, -0.1, 1.1, 1e308])
def test_levels_out_of_range(level: float) -> None:
    """What is not from 0 to 1 is refused, in both levels at once."""
    error = refusal(lambda: payload_from_proto(payload(activity_level=level, stress=level)))
    assert ["payload.activity_level", "payload.stress"] == fields_of(error)


def test_unknown_fields_of_a_payload() -> None:
    """Fields that the contract does not know are refused, with their numbers, before all else."""
    raw = nested(1, number(30)) + number(9) + number(17)
    error = refusal(lambda: payload_from_proto(payload_pb2.DerivedPayload.FromString(raw)))
    assert (ErrorReason.PAYLOAD_UNKNOWN_FIELDS, {"field": "payload", "field_numbers": "9,17,30"}) == (
        error.reason,
        error.metadata,
    )


def test_a_message_too_large_for_its_limits_is_refused_unread() -> None:
    """A payload or constraints that can't be within their limits cost no walk over what they hold."""
    message = payload_pb2.DerivedPayload(task="x" * (MAX_PAYLOAD_MESSAGE_BYTES - 10))
    # Two tags of one byte and the lengths: the limit to the byte, then one beyond.
    message.task += "x" * (MAX_PAYLOAD_MESSAGE_BYTES - message.ByteSize())
    assert message.ByteSize() == MAX_PAYLOAD_MESSAGE_BYTES
    within = refusal(lambda: payload_from_proto(message))
    message.task += "x"
    beyond = refusal(lambda: payload_from_proto(message))
    constraints = constraints_pb2.Constraints(forbidden_tokens=["x" * MAX_CONSTRAINTS_MESSAGE_BYTES])
    large = refusal(lambda: constraints_from_proto(constraints, "template.constraints"))
    # Within the message's limit the payload's own checks speak, and there are several.
    assert within.reason is ErrorReason.PAYLOAD_INVALID
    assert beyond.reason is ErrorReason.SIZE_EXCEEDED
    assert beyond.metadata == {"field": "payload", "size": "1048577", "limit": "1048576"}
    assert large.metadata["field"] == "template.constraints"
    assert large.metadata["limit"] == "262144"


def test_many_unknown_fields_of_a_payload() -> None:
    """Of very many, the first are listed whole, and the rest is counted."""
    greatest = 536_870_911
    raw = b"".join(number(greatest - index) for index in range(1000))
    error = refusal(lambda: payload_from_proto(payload_pb2.DerivedPayload.FromString(raw)))
    expected = ",".join(str(greatest - 999 + index) for index in range(24))
    assert expected == error.metadata["field_numbers"] == bounded_metadata(error)["field_numbers"]
    assert f"(numbers {expected} and 976 more)" in error.message


CONSTRAINTS: dict[str, JsonValue] = {
    "FORBIDDEN_TOKENS": ["as an AI", "Sure"],
    "MAX_SENTENCE_LENGTH": 20,
    "MAX_PARAGRAPHS": 3,
    "NO_EMOJI": True,
    "ASSERTIVENESS_LEVEL": 0.5,
    "TONE": {"calm": [1, None]},
}


@pytest.mark.parametrize("key", [None, *CONSTRAINTS])
def test_constraints_round_trip(key: str | None) -> None:
    """All constraints, and each alone, come back with the same hash."""
    value = CONSTRAINTS if key is None else {key: CONSTRAINTS[key]}
    normal = Constraints.normalise(value)
    read = Constraints.normalise(constraints_from_proto(constraints_to_proto(normal), "c"))
    assert (normal, normal.constraints_hash) == (read, read.constraints_hash)


def test_no_constraints_are_an_empty_message() -> None:
    """What says nothing stays unset, NO_EMOJI false included."""
    values: list[dict[str, JsonValue]] = [{}, {"NO_EMOJI": False}, {"FORBIDDEN_TOKENS": []}]
    for value in values:
        assert constraints_pb2.Constraints() == constraints_to_proto(Constraints.normalise(value))
    assert {} == constraints_from_proto(constraints_pb2.Constraints(), "c")


def test_a_limit_of_zero_is_said() -> None:
    """A limit that is set to zero is not taken for one that is not set, and so refused later."""
    message = constraints_pb2.Constraints(max_paragraphs=0, no_emoji=False, assertiveness_level=0)
    expected = {"MAX_PARAGRAPHS": 0, "NO_EMOJI": False, "ASSERTIVENESS_LEVEL": 0.0}
    assert expected == constraints_from_proto(message, "c")


@pytest.mark.parametrize("key", [key for key in CONSTRAINTS if key != "TONE"])
def test_typed_constraints_have_one_place(key: str) -> None:
    """A key that has a field of its own is refused among the further keys, even if that is unset."""
    message = constraints_pb2.Constraints(further=json_to_struct({key: CONSTRAINTS[key]}))
    error = refusal(lambda: constraints_from_proto(message, "template.constraints"))
    assert (ErrorReason.CONSTRAINTS_INVALID, {"field": "template.constraints.further"}) == (
        error.reason,
        error.metadata,
    )
    assert key in error.message


def test_further_constraints_without_a_kind() -> None:
    """A Value that says nothing is refused among the further keys."""
    message = constraints_pb2.Constraints()
    message.further.fields["TONE"].SetInParent()
    assert ErrorReason.CONSTRAINTS_INVALID is refusal(lambda: constraints_from_proto(message, "c")).reason


def test_templates_round_trip() -> None:
    """A template comes back as it was published, with its hashes, time and size."""
    definition = template_pb2.TemplateDefinition(
        template_id="companion-task",
        semver="1.0.0-rc.1+b",
        role=template_pb2.ROLE_DEVELOPER,
        content="Gru\u0308n {{task}}\r\n",
        constraints=constraints_to_proto(Constraints.normalise(CONSTRAINTS)),
        adapter_version="chat-1",
        description="Says what to do.",
    )
    domain = template_from_proto(definition, "template")
    message = template_to_proto(domain, START)
    assert (domain.content_hash, domain.constraints_hash, domain.definition_hash, STARTED, 14) == (
        message.content_hash,
        message.constraints_hash,
        message.definition_hash,
        message.published_at,
        message.content_bytes,
    )
    assert "Gr\u00fcn {{task}}" == message.definition.content
    assert domain == template_from_proto(message.definition, "template")
    definition.content = message.definition.content
    assert definition == message.definition


def test_summaries_are_templates_without_content() -> None:
    """In lists a template is told as elsewhere, but its content is left out."""
    domain = template_from_proto(template("t", content="Text.", description="For people."), "template")
    summary = TemplateSummary(
        domain.template_id,
        domain.semver,
        domain.role,
        domain.constraints,
        domain.adapter_version,
        domain.description,
        domain.content_hash,
        domain.constraints_hash,
        domain.definition_hash,
        domain.content_bytes,
        START,
    )
    expected = template_to_proto(domain, START)
    expected.definition.content = ""
    assert expected == template_summary_to_proto(summary)


def test_all_faults_of_a_template_at_once() -> None:
    """Constraints that can't be read, too, are told together with the rest."""
    definition = template("-", "1", "{{nothing}}", role=99, description="x" * 4097)
    definition.constraints.max_paragraphs = 0
    definition.constraints.further.update({"NO_EMOJI": True})
    error = refusal(lambda: template_from_proto(definition, "template"))
    names = ["constraints.further", "template_id", "semver", "role", "content", "description"]
    assert [f"template.{name}" for name in names] == fields_of(error)


@pytest.mark.parametrize("role", [0, 4, 99, -1])
def test_roles_that_are_none(role: int) -> None:
    """A role that the contract does not know is as good as missing."""
    definition = template("t")
    definition.role = role  # type: ignore[assignment]  # enums are open on the wire
    assert ["template.role"] == fields_of(refusal(lambda: template_from_proto(definition, "template")))


@pytest.mark.parametrize("role", Role)
def test_roles(role: Role) -> None:
    """Each role has its number, by its canonical name."""
    assert template_pb2.Role.Name(ROLE_TO_PROTO[role]) == f"ROLE_{role.value.upper()}"
    definition = template("t", role=ROLE_TO_PROTO[role])
    assert role is template_from_proto(definition, "t").role


@pytest.mark.parametrize("slot", Slot)
def test_slots(slot: Slot) -> None:
    """Each slot has its number, by its canonical name, and numbers are in assembly order."""
    assert bundle_pb2.Slot.Name(SLOT_TO_PROTO[slot]) == f"SLOT_{slot.value.upper()}"
    assert list(Slot).index(slot) + 1 == SLOT_TO_PROTO[slot]


def test_references() -> None:
    """A reference goes there and back; a malformed one is refused in both parts at once."""
    ref = TemplateRef("a", "1.0.0")
    assert ref == template_ref_from_proto(template_ref_to_proto(ref), "ref")
    bad = template_pb2.TemplateRef(template_id="\u00e9", semver="01.0.0")
    assert ["ref.template_id", "ref.semver"] == fields_of(
        refusal(lambda: template_ref_from_proto(bad, "ref"))
    )


def test_bundles_round_trip() -> None:
    """A bundle comes back as it was published; lists leave its bundle_hash empty."""
    definition = bundle(tags=["gpt-4o", "default"], description="For chat.", versions={"task": "2.0.0"})
    domain = bundle_from_proto(definition, "bundle")
    message = bundle_to_proto(domain, START, "ff")
    assert (definition, domain.definition_hash, "ff", STARTED) == (
        message.definition,
        message.definition_hash,
        message.bundle_hash,
        message.published_at,
    )
    assert domain == bundle_from_proto(message.definition, "bundle")


@pytest.mark.parametrize("name", [slot.value for slot in Slot])
def test_a_slot_that_is_missing(name: str) -> None:
    """A slot that is not set is refused by name."""
    definition = bundle()
    definition.slots.ClearField(name)
    error = refusal(lambda: bundle_from_proto(definition, "bundle"))
    assert [f"bundle.slots.{name}"] == fields_of(error)


def test_a_slot_that_is_empty() -> None:
    """A slot that is set and says nothing lacks an id and a version."""
    definition = bundle()
    definition.slots.task.Clear()
    definition.slots.task.SetInParent()
    error = refusal(lambda: bundle_from_proto(definition, "bundle"))
    assert ["bundle.slots.task.template_id", "bundle.slots.task.semver"] == fields_of(error)


def test_inline_bundles() -> None:
    """A bundle comes with its templates in the order in which they were given."""
    domain, templates = inline_bundle_from_proto(inline_bundle(), "inline_bundle")
    assert bundle_from_proto(bundle(), "b") == domain
    assert [template_from_proto(item, "t") for item in templates_of()] == templates


def test_all_faults_of_an_inline_bundle_at_once() -> None:
    """Faults of the bundle and of each template are told together, each with its path."""
    message = inline_bundle(tags=["a", "a"])
    message.templates[1].content = "{{nothing}}"
    message.templates[3].semver = "1"
    error = refusal(lambda: inline_bundle_from_proto(message, "inline_bundle"))
    assert [
        "inline_bundle.bundle.tags[1]",
        "inline_bundle.templates[1].content",
        "inline_bundle.templates[3].semver",
    ] == fields_of(error)


def test_an_inline_bundle_that_is_not_there() -> None:
    """An empty message lacks everything that a bundle has."""
    error = refusal(lambda: inline_bundle_from_proto(bundle_pb2.InlineBundle(), "inline_bundle"))
    names = ["bundle_id", "semver", *(f"slots.{slot.value}" for slot in Slot)]
    assert [f"inline_bundle.bundle.{name}" for name in names] == fields_of(error)


def test_payload_paths() -> None:
    """A path is told with its slots in order, and whether it must be there."""
    path = PayloadPath("semantic_traits.mood", (Slot.SYSTEM, Slot.TASK), required=True)
    expected = bundle_pb2.PayloadPath(
        path="semantic_traits.mood", slots=[bundle_pb2.SLOT_SYSTEM, bundle_pb2.SLOT_TASK], required=True
    )
    assert expected == payload_path_to_proto(path)


def test_labels() -> None:
    """A label is told as it is."""
    expected = label_pb2.Label(
        bundle_id="companion",
        label="production",
        semver="1.2.0",
        etag="e1",
        updated_at=STARTED,
        updated_by="ada",
    )
    assert expected == label_to_proto(Label("companion", "production", "1.2.0", "e1", START, "ada"))


@pytest.mark.parametrize("action", LabelAction)
def test_label_events(action: LabelAction) -> None:
    """An entry of a label's history is told as it is; each action has its number, by its name."""
    message = label_event_to_proto(
        LabelEvent("companion", "production", 7, action, "1.0.0", "1.2.0", "ada", START)
    )
    expected = label_pb2.LabelEvent(
        bundle_id="companion",
        label="production",
        revision=7,
        action=f"LABEL_ACTION_{action.name}",
        from_semver="1.0.0",
        to_semver="1.2.0",
        actor="ada",
        occurred_at=STARTED,
    )
    assert expected == message


def test_no_number_is_forgotten() -> None:
    """The tables have every value of the contract but the unspecified one."""
    assert [0, *ROLE_TO_PROTO.values()] == template_pb2.Role.values()
    assert [0, *SLOT_TO_PROTO.values()] == bundle_pb2.Slot.values()

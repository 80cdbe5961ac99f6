"""What is rendered under load."""

import pytest
from golden import reference
from load.calls import render_requests, unary
from load.plan import Kind, Plan
from load.profiles import NAMES, Profile
from pecia.v1.prompt_service_pb2 import RenderBatchRequest
from pecia_service.rendering.sources.directory import read_directory
from support.checkout import ROOT


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_is_what_the_files_say(name: str) -> None:
    """`pecia publish tests/load/definitions` brings a server to the same place, for other tools."""
    contents = read_directory(ROOT / "tests/load/definitions")
    bundle, templates = Profile.read(name).copy(0)
    assert [] == contents.problems
    published = {each.definition_hash for each in contents.bundles}
    published |= {each.definition_hash for each in contents.templates}
    sent = [reference.bundle_bytes(bundle), *(reference.template_bytes(each) for each in templates)]
    assert set() == {reference.sha256(each) for each in sent} - published


@pytest.mark.parametrize(
    ("name", "least", "most"), [("minimal", 50, 80), ("short", 700, 1_500), ("medium", 5_500, 9_000)]
)
def test_prompts_are_as_long_as_their_profile_says(name: str, least: int, most: int) -> None:
    """A change of a text that makes another load of it doesn't go unseen."""
    profile = Profile.read(name)
    bundle, templates = profile.copy(0)
    lengths = [
        len("\n\n".join(reference.render_texts(bundle, templates, payload)).encode())
        for payload in profile.payloads
    ]
    assert [True] * len(lengths) == [least <= length <= most for length in lengths]


@pytest.mark.parametrize("name", NAMES)
def test_no_two_payloads_of_a_profile_are_alike(name: str) -> None:
    """Nobody looks good by remembering the last answer."""
    work = Profile.read(name).work(1)
    hashes = {(each.expected.prompt_hash, each.expected.payload_hash) for each in work}
    assert (len(work), True) == (len(hashes), len(work) >= 4)


def test_copies_of_a_bundle_have_other_names_and_the_same_prompts() -> None:
    """Each is a bundle of its own for the server, which has to load it with templates of its own."""
    profile = Profile.read("short")
    work = profile.work(20)
    assert 20 == len({each.bundle_id for each in work}) == len({each.expected.bundle_hash for each in work})
    assert {each.expected.prompt_hash for each in work} == {
        each.expected.prompt_hash for each in profile.work(1)
    }
    templates = [template.template_id for number in range(3) for template in profile.messages(number)[1]]
    assert 12 == len(set(templates))


def test_batches_take_up_where_the_last_one_ended() -> None:
    """So that every copy and every payload comes up."""
    plan = Plan(kind=Kind.BATCH, profile="minimal", batch=3, bundles=4)
    _, requests = unary(plan)
    sent = [request for each in requests for request in RenderBatchRequest.FromString(each.message).requests]
    asked = [request for request, _ in render_requests(plan)]
    assert [*asked, *asked[:2]] == sent

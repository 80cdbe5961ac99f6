"""The calls that are measured, with answers that are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf import json_format
from load.bench import echo, sample
from load.bench.caller import Work
from load.bench.stores import LABEL, bundle_id
from pecia.v1 import bundle_pb2, payload_pb2, replay_pb2
from pecia.v1 import prompt_service_pb2 as pb

_SERVICE: Final = "/pecia.v1.PromptService"

# As many different payloads as are rendered in turn: too many to remember their prompts by accident.
_PAYLOADS: Final = 2_048
_BATCHES: Final = 32


def request(number: int, *, bundle: int = 0, label: bool = False) -> pb.RenderRequest:
    """Make the request of a render of a stored bundle, by its version or by its label."""
    selector = {"label": LABEL} if label else {"semver": sample.SEMVER}
    payload = payload_pb2.DerivedPayload(
        activity_level=sample.ACTIVITY_LEVEL, stress=sample.STRESS, task=sample.task(number)
    )
    json_format.ParseDict(dict(sample.TRAITS), payload.semantic_traits)
    return pb.RenderRequest(
        bundle=bundle_pb2.BundleRef(bundle_id=bundle_id(bundle), **selector), payload=payload
    )


class _Expected:
    """The prompts that a server must answer, and their hashes."""

    def __init__(self, numbers: Sequence[int]) -> None:
        of = sample.resolved(bundle_id(0))
        results = [sample.render(number, of) for number in numbers]
        # An answer begins with its prompt.
        self.beginnings = [pb.RenderResponse(prompt=result.prompt).SerializeToString() for result in results]
        self.hashes = [result.prompt_hash.encode() for result in results]

    def is_answer(self, number: int, message: bytes) -> bool:
        """Tell whether a RenderResponse is the one to a request."""
        return message.startswith(self.beginnings[number]) and self.hashes[number] in message


def render(*, label: bool = False) -> Work:
    """Render the first bundle, one call after the other."""
    numbers = range(_PAYLOADS)
    requests = [request(number, label=label).SerializeToString() for number in numbers]
    return Work(f"{_SERVICE}/Render", requests, _Expected(numbers).is_answer)


def echo_of(answer: bytes) -> Work:
    """Call the floor with the bytes of renders' requests; `answer` is what it answers."""
    return Work(echo.PATH, render().requests, lambda _, message: message == answer)


def cold(bundles: range) -> Work:
    """Render each of the bundles with the payload 0."""
    requests = [request(0, bundle=number).SerializeToString() for number in bundles]
    expected = _Expected([0])
    return Work(f"{_SERVICE}/Render", requests, lambda _, message: expected.is_answer(0, message))


def batch(size: int) -> Work:
    """Render batches of so many."""
    expected = _Expected(range(size * _BATCHES))
    requests = [
        pb.RenderBatchRequest(
            requests=[request(number) for number in range(first, first + size)]
        ).SerializeToString()
        for first in range(0, size * _BATCHES, size)
    ]

    def check(number: int, message: bytes) -> bool:
        at = 0
        for asked in range(number * size, (number + 1) * size):
            # Of each answer the prompt comes first, and the receipt that has its hash after it.
            for part in (expected.beginnings[asked], expected.hashes[asked]):
                at = message.find(part, at)
                if at < 0:
                    return False
        return True

    return Work(f"{_SERVICE}/RenderBatch", requests, check, renders=size)


def stream(window: int) -> Work:
    """Render over streams with so many requests under way on each."""
    numbers = range(_PAYLOADS)
    expected = _Expected(numbers)
    requests = [
        pb.RenderStreamRequest(correlation_id=str(number), request=request(number)).SerializeToString()
        for number in numbers
    ]
    return Work(
        f"{_SERVICE}/RenderStream",
        requests,
        lambda number, message: expected.hashes[number] in message and expected.beginnings[number] in message,
        streamed=True,
        window=window,
    )


def replay(render_ids: Sequence[str]) -> Work:
    """Replay records, each of which must match."""
    requests = [pb.ReplayRequest(render_id=render_id).SerializeToString() for render_id in render_ids]

    def check(_: int, message: bytes) -> bool:
        return pb.ReplayResponse.FromString(message).result.verdict == replay_pb2.REPLAY_VERDICT_MATCH

    return Work(f"{_SERVICE}/Replay", requests, check)

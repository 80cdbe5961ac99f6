"""Answers that the bench accepts are those of the renderer, to the byte."""

import pytest
from load.bench import sample, works
from load.bench.stores import bundle_id
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import replay_pb2

SIZE = 4


def answer(number: int, **changed: str) -> pb.RenderResponse:
    """Make the right answer to a request, but for what is changed."""
    result = sample.render(number, sample.resolved(bundle_id(0)))
    given = {"prompt": result.prompt, "prompt_hash": result.prompt_hash, **changed}
    return pb.RenderResponse(prompt=given["prompt"], receipt={"prompt_hash": given["prompt_hash"]})


def outcomes(*answers: pb.RenderResponse) -> bytes:
    """Make the answer to a batch."""
    return pb.RenderBatchResponse(
        outcomes=[pb.RenderOutcome(response=each) for each in answers]
    ).SerializeToString()


WRONG = pytest.mark.parametrize(
    "wrong",
    [answer(1), answer(0, prompt="mauve"), answer(0, prompt_hash="0" * 64)],
    ids=["another's", "prompt", "hash"],
)


@WRONG
def test_a_render_is_checked_by_prompt_and_hash(wrong: pb.RenderResponse) -> None:
    """The right answer passes; that to another request, another prompt and another hash do not."""
    check = works.render().check
    assert (True, False) == (
        check(0, answer(0).SerializeToString()),
        check(0, wrong.SerializeToString()),
    )


@WRONG
def test_every_render_of_a_batch_is_checked(wrong: pb.RenderResponse) -> None:
    """One that is wrong, missing or failed, and two that have changed places, make it wrong."""
    check = works.batch(SIZE).check
    first, *others = right = [answer(number) for number in range(SIZE)]
    failed = pb.RenderBatchResponse.FromString(outcomes(*right))
    failed.outcomes[0].error.message = "no"
    verdicts = [
        check(0, message)
        for message in (
            outcomes(*right),
            outcomes(wrong, *others),
            outcomes(*others),
            outcomes(*others, first),
            failed.SerializeToString(),
        )
    ]
    assert [True, False, False, False, False] == verdicts


@WRONG
def test_an_answer_of_a_stream_is_checked_by_prompt_and_hash(wrong: pb.RenderResponse) -> None:
    """As that of a render, wherever it stands in the message."""
    check = works.stream(1).check
    verdicts = [
        check(
            0,
            pb.RenderStreamResponse(
                correlation_id="0", outcome=pb.RenderOutcome(response=each)
            ).SerializeToString(),
        )
        for each in (answer(0), wrong)
    ]
    assert [True, False] == verdicts


def test_a_replay_must_match() -> None:
    """Any other verdict is no answer."""
    check = works.replay(["id"]).check
    assert [True, False] == [
        check(0, pb.ReplayResponse(result={"verdict": verdict}).SerializeToString())
        for verdict in (replay_pb2.REPLAY_VERDICT_MATCH, replay_pb2.REPLAY_VERDICT_UNSPECIFIED)
    ]

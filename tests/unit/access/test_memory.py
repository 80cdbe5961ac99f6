"""What is remembered of credentials: for how long, how much, and while the database is away."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from pecia_service.access.memory import CredentialMemory, Found
from pecia_service.access.model import Credential, CredentialKind
from pecia_service.errors import ErrorReason, ResourceExhaustedError, UnavailableError
from structlog.testing import capture_logs
from support.credentials import HandClock

GONE = UnavailableError(ErrorReason.STORAGE_UNAVAILABLE, "the database does not answer; try again")


def credential(credential_id: str = "id", revoked_at: int | None = None) -> Credential:
    """Make a credential; most of it does not matter here."""
    return Credential(
        credential_id, "acme", CredentialKind.KEY, frozenset(), created_at=0, revoked_at=revoked_at
    )


@dataclass
class Source:
    """Answers what it is told to, and counts how often it is asked."""

    answer: Found | Exception = ()
    asked: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def load(self) -> Found:
        """Answer, once the way is open."""
        self.asked += 1
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def clock() -> HandClock:
    """Give a clock that stands still."""
    return HandClock()


@pytest.fixture
async def memory(clock: HandClock) -> AsyncIterator[CredentialMemory]:
    """Give a memory that holds two entries of each kind, for 10 seconds, and 300 in an outage."""
    memory = CredentialMemory(
        monotonic=clock.monotonic,
        seconds=10,
        outage_seconds=300,
        patience_seconds=0,
        max_entries=2,
        max_lookups=3,
    )
    yield memory
    await memory.aclose()


async def settle() -> None:
    """Let tasks that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("answer", [(credential(),), ()], ids=["found", "nothing"])
async def test_an_answer_holds_for_a_while(memory: CredentialMemory, clock: HandClock, answer: Found) -> None:
    """What was found, and that nothing was."""
    source = Source(answer)
    assert await memory.get("k", source.load) == answer
    clock.move(4.9)
    assert [await memory.get("k", source.load), source.asked] == [answer, 1]


@pytest.mark.parametrize(
    ("before", "after"), [((credential(),), ()), ((), (credential(),))], ids=["vanishes", "appears"]
)
async def test_a_change_is_seen_when_that_is_over(clock: HandClock, before: Found, after: Found) -> None:
    """After `seconds` at the latest."""
    memory = CredentialMemory(monotonic=clock.monotonic, seconds=10, outage_seconds=300)
    source = Source(before)
    await memory.get("k", source.load)
    source.answer = after
    clock.move(10)
    assert await memory.get("k", source.load) == after


async def test_what_is_in_use_is_asked_for_in_the_background(
    memory: CredentialMemory, clock: HandClock
) -> None:
    """In the second half of its time, so that nobody waits for the database."""
    source = Source((credential(),))
    await memory.get("k", source.load)
    clock.move(5)
    changed = (credential(revoked_at=1),)
    source.answer = changed
    assert await memory.get("k", source.load) == (credential(),)
    await settle()
    clock.move(9.9)
    assert [await memory.get("k", source.load), source.asked] == [changed, 2]


async def test_an_answer_is_as_old_as_its_question(memory: CredentialMemory, clock: HandClock) -> None:
    """A slow database must not make a revocation take longer."""
    source = Source((credential(),))
    source.open.clear()
    asking = asyncio.create_task(memory.get("k", source.load))
    await settle()
    clock.move(6)
    source.open.set()
    await asking
    clock.move(4)
    source.open.clear()
    source.answer = ()
    later = asyncio.create_task(memory.get("k", source.load))
    await settle()
    assert source.asked == 2
    source.open.set()
    await later


async def test_those_who_ask_for_the_same_share_one_lookup(memory: CredentialMemory) -> None:
    """And one of them who gives up takes it from nobody."""
    source = Source((credential(),))
    source.open.clear()
    callers = [asyncio.create_task(memory.get("k", source.load)) for _ in range(10)]
    await settle()
    callers[0].cancel()
    await settle()
    source.open.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(answers[0]), answers[1:], source.asked] == [
        asyncio.CancelledError,
        [(credential(),)] * 9,
        1,
    ]


async def test_a_known_credential_outlives_an_outage(memory: CredentialMemory, clock: HandClock) -> None:
    """For as long as the settings say since it was last confirmed."""
    source = Source((credential(),))
    await memory.get("k", source.load)
    source.answer = GONE
    clock.move(299.9)
    assert await memory.get("k", source.load) == (credential(),)
    clock.move(0.1)
    with pytest.raises(UnavailableError):
        await memory.get("k", source.load)


async def test_an_unknown_credential_is_unavailable_in_an_outage(
    memory: CredentialMemory, clock: HandClock
) -> None:
    """Also one of which it was known that there was none: it may have been made since."""
    source = Source(())
    await memory.get("k", source.load)
    source.answer = GONE
    clock.move(10)
    for key in ("k", "new"):
        with pytest.raises(UnavailableError):
            await memory.get(key, source.load)


async def test_a_failure_is_not_remembered(memory: CredentialMemory) -> None:
    """The next caller asks again."""
    source = Source(GONE)
    with pytest.raises(UnavailableError):
        await memory.get("k", source.load)
    source.answer = (credential(),)
    assert await memory.get("k", source.load) == (credential(),)


async def test_a_database_that_is_away_is_asked_once_a_second(
    memory: CredentialMemory, clock: HandClock
) -> None:
    """Not by each call of a credential that is in use."""
    source = Source((credential(),))
    await memory.get("k", source.load)
    source.answer = GONE
    clock.move(20)
    for _ in range(10):
        await memory.get("k", source.load)
        await settle()
    assert source.asked == 2
    clock.move(1)
    await memory.get("k", source.load)
    assert source.asked == 3


async def test_an_error_that_nobody_foresaw_is_an_outage_and_told_once(
    memory: CredentialMemory, clock: HandClock
) -> None:
    """Also in the background, where nobody waits for it; its text may hold a statement, and is not told."""
    source = Source((credential(),))
    await memory.get("k", source.load)
    source.answer = LookupError("SELECT secret")
    with capture_logs() as logs:
        answers = []
        for _ in range(4):
            clock.move(6)
            answers.append(await memory.get("k", source.load))
            await settle()
        with pytest.raises(UnavailableError) as raised:
            await memory.get("new", source.load)
    assert ([(credential(),)] * 4, 6) == (answers, source.asked)
    assert ErrorReason.STORAGE_UNAVAILABLE == raised.value.reason
    assert [("credential_lookup_failed", {"error": "LookupError", "log_level": "error"})] == [
        (entry.pop("event"), entry) for entry in logs
    ]


async def test_the_end_of_an_outage_is_seen(memory: CredentialMemory, clock: HandClock) -> None:
    """What was revoked meanwhile works no longer."""
    source = Source((credential(),))
    await memory.get("k", source.load)
    source.answer = GONE
    clock.move(20)
    await memory.get("k", source.load)
    await settle()
    source.answer = (credential(revoked_at=1),)
    clock.move(1)
    await memory.get("k", source.load)
    await settle()
    assert await memory.get("k", source.load) == (credential(revoked_at=1),)


async def test_a_database_that_hangs_holds_up_nobody_who_is_known(
    memory: CredentialMemory, clock: HandClock
) -> None:
    """An answer that does not come in time is an outage."""
    source = Source((credential(),))
    await memory.get("k", source.load)
    source.open.clear()
    clock.move(20)
    assert await asyncio.wait_for(memory.get("k", source.load), 5) == (credential(),)
    assert source.asked == 2


async def test_memory_is_bounded(memory: CredentialMemory) -> None:
    """Of what there is as of what there is not, the least recently used goes first."""
    found, nothing = Source((credential(),)), Source(())
    for key in range(100):
        await memory.get(("found", key), found.load)
        await memory.get(("nothing", key), nothing.load)
    assert len(memory) == 4


async def test_who_guesses_does_not_push_out_who_is_known(memory: CredentialMemory) -> None:
    """However many ids are tried."""
    source = Source((credential(),))
    await memory.get("k", source.load)
    for key in range(100):
        await memory.get(key, Source(()).load)
    await memory.get("k", source.load)
    assert source.asked == 1


async def test_what_was_used_last_stays(memory: CredentialMemory) -> None:
    """Of two places, the one that was used longer ago is given up."""
    sources = {key: Source((credential(key),)) for key in "abc"}
    for key in ("a", "b", "a", "c", "a"):
        await memory.get(key, sources[key].load)
    assert sources["a"].asked == 1


async def test_lookups_at_once_are_bounded(memory: CredentialMemory) -> None:
    """Beyond, strangers are refused at once; those who ask for the same still join."""
    source = Source(())
    source.open.clear()
    waiting = [asyncio.create_task(memory.get(key, source.load)) for key in range(3)]
    await settle()
    joined = asyncio.create_task(memory.get(0, source.load))
    with pytest.raises(ResourceExhaustedError) as raised:
        await memory.get(3, source.load)
    assert [raised.value.reason, raised.value.retry_after] == [ErrorReason.TOO_MANY_REQUESTS, 1.0]
    source.open.set()
    assert [await task for task in (*waiting, joined)] == [()] * 4


async def test_closing_leaves_no_task_behind(memory: CredentialMemory) -> None:
    """Those who wait are told."""
    source = Source(())
    source.open.clear()
    waiting = asyncio.create_task(memory.get("k", source.load))
    await settle()
    await memory.aclose()
    assert [type(answer) for answer in await asyncio.gather(waiting, return_exceptions=True)] == [
        asyncio.CancelledError
    ]
    assert asyncio.all_tasks() == {asyncio.current_task()}

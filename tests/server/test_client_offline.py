"""Both offline renderers against a real server: what they fetch, keep, check anew, and never do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from pecia.v1.registry_service_pb2 import GetBundleResponse
from pecia_client import AsyncClient, Client, PeciaError, RetryPolicy
from pecia_client.messages import BundleRef, Receipt
from pecia_client.offline import (
    AsyncOfflineRenderer,
    BundleCache,
    BundleCacheStatistics,
    OfflineRender,
    OfflineRenderer,
)
from support.edge import Observer
from support.offline import AsyncOffline, BlockingOffline, Clock, Offline
from support.recorded import flush
from support.server import LiveServer, observed_server
from support.wire import payload, publish

PAYLOAD = payload()
FETCH = ["GetBundle", *["GetTemplate"] * 4]
AGE = 300.0


@dataclass
class Scene:
    """A server that observes its calls, a client of it, and a factory of offline renderers."""

    live: LiveServer
    client: AsyncClient
    observer: Observer
    offline: Callable[..., Offline]

    def asked(self) -> list[str]:
        """Return the calls since the last time."""
        calls = [method.rpartition("/")[2] for method in self.observer.begun]
        self.observer.begun.clear()
        return calls


@asynccontextmanager
async def scene_of(kinds: type[AsyncOffline | BlockingOffline], path: Path) -> AsyncIterator[Scene]:
    """Serve two versions of a bundle, and another one with templates of its own."""
    observer = Observer()
    made: list[Offline] = []
    async with (
        observed_server(f"sqlite:///{path / 'pecia.db'}", observer) as live,
        AsyncClient(live.target, retry=None) as client,
    ):
        await publish(live.registry, semvers=("1.0.0", "1.1.0"))
        await publish(live.registry, bundle_id="other", tags=["gpt-4o"])

        def offline(cache: BundleCache | None = None) -> Offline:
            made.append(kinds(live.target, cache))
            return made[-1]

        observer.begun.clear()
        yield Scene(live, client, observer, offline)
        for each in made:
            await each.close()


@pytest.fixture(params=[AsyncOffline, BlockingOffline], ids=["async", "sync"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    """Give the scene for one of the two renderers."""
    async with scene_of(request.param, tmp_path) as made:
        yield made


async def refused(offline: Offline, name: str = "companion@1.0.0", model_type: str = "") -> PeciaError:
    """Render, and return why that failed."""
    with pytest.raises(PeciaError) as caught:
        await offline.render(name, PAYLOAD, model_type)
    return caught.value


async def test_a_bundle_is_fetched_once(scene: Scene) -> None:
    """Whatever is rendered from it afterwards, the server is asked for nothing."""
    offline = scene.offline()
    tasks = ["Plan the day.", "Rest.", ""]
    made = [(await offline.render("companion@1.0.0", payload(task=task))).prompt for task in tasks]
    assert FETCH == scene.asked()
    rendered = [await scene.client.render("companion@1.0.0", payload=payload(task=task)) for task in tasks]
    assert [response.prompt for response in rendered] == made


async def test_pieces_can_be_fetched_ahead(scene: Scene) -> None:
    """No render has to wait then, by version or from then on."""
    offline = scene.offline()
    await offline.prefetch("companion@1.0.0", "other@1.0.0")
    assert sorted(FETCH * 2) == sorted(scene.asked())
    for name in ("companion@1.0.0", "other@1.0.0"):
        await offline.render(name, PAYLOAD)
    assert [] == scene.asked()


async def test_nothing_is_recorded(scene: Scene) -> None:
    """No audit record comes of it, and what is returned is no receipt."""
    made = await scene.offline().render("companion@1.0.0", PAYLOAD)
    await flush(scene.live)
    assert [] == [record async for record in scene.client.list_audit_records()]
    assert not isinstance(made, Receipt)
    assert {"render_id", "created_at", "receipt"}.isdisjoint(OfflineRender.__slots__)


async def test_a_model_type_is_checked_as_the_server_does(scene: Scene) -> None:
    """Among the tags it passes; else reason and metadata are the server's."""
    offline = scene.offline()
    await offline.render("other@1.0.0", PAYLOAD, "gpt-4o")
    error = await refused(offline, "other@1.0.0", "llama")
    with pytest.raises(PeciaError) as caught:
        await scene.client.render("other@1.0.0", payload=PAYLOAD, model_type="llama")
    assert str(caught.value) == str(error)
    assert caught.value.metadata == error.metadata


@pytest.mark.parametrize("name", ["companion@9.0.0", "companion@nowhere"])
async def test_what_does_not_exist_is_the_servers_to_say(name: str, scene: Scene) -> None:
    """And it is asked again the next time: it may have been published since."""
    offline = scene.offline()
    reasons = [(await refused(offline, name)).reason for _ in range(2)]
    expected = "BUNDLE_NOT_FOUND" if "9" in name else "LABEL_NOT_FOUND"
    assert ([expected] * 2, ["GetBundle"] * 2) == (reasons, scene.asked())


async def test_a_bad_payload_asks_nothing(scene: Scene) -> None:
    """It is refused before anything is fetched, with the field's path."""
    error = await refused_payload(scene.offline())
    assert ("PAYLOAD_INVALID", [("payload.stress", "must be a number from 0 to 1")], []) == (
        error.reason,
        error.violations,
        scene.asked(),
    )


async def refused_payload(offline: Offline) -> PeciaError:
    """Render a payload that is out of range."""
    with pytest.raises(PeciaError) as caught:
        await offline.render("companion@1.0.0", payload(stress=2))
    return caught.value


async def test_an_old_bundle_is_checked_by_one_call(scene: Scene) -> None:
    """Up to its age nothing is asked; then the bundle alone, whose templates never change."""
    clock = Clock()
    offline = scene.offline(BundleCache(max_age=AGE, clock=clock))
    await offline.render("companion@1.0.0", PAYLOAD)
    scene.asked()
    clock.now += AGE
    await offline.render("companion@1.0.0", PAYLOAD)
    assert [] == scene.asked()
    clock.now += 1
    await offline.render("companion@1.0.0", PAYLOAD)
    assert ["GetBundle"] == scene.asked()
    clock.now += AGE
    await offline.render("companion@1.0.0", PAYLOAD)
    assert [] == scene.asked()


async def test_without_an_age_each_render_asks_once(scene: Scene) -> None:
    """The server is asked whether the bundle is still what it was, and its templates stay."""
    offline = scene.offline(BundleCache(max_age=0))
    for _ in range(3):
        await offline.render("companion@1.0.0", PAYLOAD)
    assert [*FETCH, "GetBundle", "GetBundle"] == scene.asked()


async def test_an_erased_template_is_found_out_within_the_age(scene: Scene) -> None:
    """Until then its text is rendered; then it is refused, and every bundle that holds it is gone."""
    clock = Clock()
    cache = BundleCache(max_age=AGE, max_stale=1000, clock=clock)
    offline = scene.offline(cache)
    await offline.prefetch("companion@1.0.0", "companion@1.1.0", "other@1.0.0")
    await scene.client.erase_template("companion-task@1.0.0", "it names somebody")
    clock.now += AGE
    await offline.render("companion@1.0.0", PAYLOAD)
    clock.now += 1
    assert ("TEMPLATE_ERASED", 1) == ((await refused(offline)).reason, cache.statistics().entries)
    assert "TEMPLATE_ERASED" == (await refused(offline, "companion@1.1.0")).reason


async def test_what_nobody_renders_any_more_leaves_memory(scene: Scene) -> None:
    """When the server is asked for something else, and it is too old for anything."""
    clock = Clock()
    cache = BundleCache(max_age=AGE, max_stale=100, clock=clock)
    offline = scene.offline(cache)
    await offline.prefetch("companion@1.0.0", "companion@1.1.0")
    clock.now += AGE + 100
    await offline.prefetch("other@1.0.0")
    kept = [cache.statistics().entries]
    clock.now += 1
    await offline.prefetch("companion@1.0.0")
    kept.append(cache.statistics().entries)
    assert [3, 2] == kept


async def test_a_template_can_be_forgotten_at_once(scene: Scene) -> None:
    """A program that is told of an erasure need not wait for the age."""
    cache = BundleCache()
    offline = scene.offline(cache)
    await offline.prefetch("companion@1.0.0", "companion@1.1.0", "other@1.0.0")
    await scene.client.erase_template("companion-task@1.0.0", "it names somebody")
    cache.forget("companion-task@1.0.0")
    assert 1 == cache.statistics().entries
    error = await refused(offline, "companion@1.1.0")
    expected = (grpc.StatusCode.FAILED_PRECONDITION, "TEMPLATE_ERASED")
    assert expected == (error.code, error.reason)
    assert {"template_id": "companion-task", "semver": "1.0.0"} == error.metadata


async def test_a_label_is_read_for_each_render(scene: Scene) -> None:
    """It moves at once, and costs one call; a version that is known is not fetched again."""
    offline = scene.offline(BundleCache(max_stale=100, clock=Clock()))
    await scene.client.set_label("companion", "production", "1.0.0")
    versions = [(await offline.render("companion@production", PAYLOAD)).semver]
    await scene.client.set_label("companion", "production", "1.1.0")
    versions += [(await offline.render("companion@production", PAYLOAD)).semver for _ in range(2)]
    assert ["1.0.0", "1.1.0", "1.1.0"] == versions
    assert ["SetLabel", *FETCH, "SetLabel", *FETCH, "GetBundle"] == scene.asked()


async def test_a_label_may_be_a_little_stale_if_that_is_wanted(scene: Scene) -> None:
    """For as long as was agreed, and no longer."""
    clock = Clock()
    offline = scene.offline(BundleCache(label_staleness=5, clock=clock))
    await scene.client.set_label("companion", "production", "1.0.0")
    versions = [(await offline.render("companion@production", PAYLOAD)).semver]
    await scene.client.set_label("companion", "production", "1.1.0")
    for seconds in (5, 1):
        clock.now += seconds
        versions.append((await offline.render("companion@production", PAYLOAD)).semver)
    assert ["1.0.0", "1.0.0", "1.1.0"] == versions


async def test_a_label_that_is_deleted_is_not_remembered(scene: Scene) -> None:
    """What the server says of it is final."""
    clock = Clock()
    offline = scene.offline(BundleCache(label_staleness=5, max_stale=1000, clock=clock))
    await scene.client.set_label("companion", "production", "1.0.0")
    await offline.render("companion@production", PAYLOAD)
    await scene.client.delete_label("companion", "production")
    clock.now += 6
    assert "LABEL_NOT_FOUND" == (await refused(offline, "companion@production")).reason
    await scene.live.server.stop()
    assert grpc.StatusCode.UNAVAILABLE == (await refused(offline, "companion@production")).code


async def test_renders_go_on_without_the_server_within_the_age(scene: Scene) -> None:
    """Later they fail, since nobody knows what was erased."""
    clock = Clock()
    offline = scene.offline(BundleCache(max_age=AGE, clock=clock))
    await offline.prefetch("companion@1.0.0")
    await scene.live.server.stop()
    clock.now += AGE
    await offline.render("companion@1.0.0", PAYLOAD)
    clock.now += 1
    assert grpc.StatusCode.UNAVAILABLE == (await refused(offline)).code


async def test_renders_go_on_longer_if_that_is_wanted(scene: Scene) -> None:
    """By version and by label, up to the bound that was given."""
    clock = Clock()
    cache = BundleCache(max_age=AGE, max_stale=100, clock=clock)
    offline = scene.offline(cache)
    await scene.client.set_label("companion", "production", "1.1.0")
    await offline.render("companion@production", PAYLOAD)
    await scene.live.server.stop()
    clock.now += 100
    made = [await offline.render(name, PAYLOAD) for name in ("companion@production", "companion@1.1.0")]
    clock.now += 1
    assert grpc.StatusCode.UNAVAILABLE == (await refused(offline, "companion@production")).code
    clock.now += AGE - 1
    made.append(await offline.render("companion@1.1.0", PAYLOAD))
    assert ["1.1.0"] * 3 == [each.semver for each in made]
    clock.now += 1
    assert grpc.StatusCode.UNAVAILABLE == (await refused(offline, "companion@1.1.0")).code
    assert (2, 0, 0) == (cache.statistics().stale, cache.statistics().entries, cache.statistics().weight)


async def test_the_cache_holds_no_more_bundles_than_it_may(scene: Scene) -> None:
    """The one that was not used for longest goes, and is fetched again when it is wanted."""
    cache = BundleCache(max_entries=2)
    offline = scene.offline(cache)
    for name in ("companion@1.0.0", "companion@1.1.0", "companion@1.0.0", "other@1.0.0", "companion@1.0.0"):
        await offline.render(name, PAYLOAD)
    assert FETCH * 3 == scene.asked()
    await offline.render("companion@1.1.0", PAYLOAD)
    assert FETCH == scene.asked()
    counts = cache.statistics()
    assert BundleCacheStatistics(2, 0, 4, 0, 2, 2, counts.weight) == counts


async def test_the_cache_holds_no_more_bytes_than_it_may(scene: Scene) -> None:
    """A bundle that is too large for it is rendered all the same, and fetched each time."""
    cache = BundleCache(max_bytes=1000)
    offline = scene.offline(cache)
    for _ in range(2):
        await offline.render("companion@1.0.0", PAYLOAD)
    assert (FETCH * 2, 0) == (scene.asked(), cache.statistics().weight)


async def test_tasks_that_miss_at_once_share_one_fetch(tmp_path: Path) -> None:
    """Also when the first of them stops waiting."""
    async with scene_of(AsyncOffline, tmp_path) as scene, AsyncClient(scene.live.target) as client:
        renderer = AsyncOfflineRenderer(client)
        renders = [
            asyncio.create_task(renderer.render("companion@1.0.0", payload=payload(task=str(number))))
            for number in range(50)
        ]
        await asyncio.sleep(0)
        renders[0].cancel()
        made = await asyncio.gather(*renders, return_exceptions=True)
        assert FETCH == scene.asked()
    assert isinstance(made[0], asyncio.CancelledError)
    endings = [each.prompt.rpartition(" ")[2] for each in made if isinstance(each, OfflineRender)]
    assert [str(number) for number in range(1, 50)] == endings


async def test_tasks_that_find_nothing_at_once_share_two_questions(tmp_path: Path) -> None:
    """The first one's began before the others came, who share another; and the next one asks again."""
    async with scene_of(AsyncOffline, tmp_path) as scene, AsyncClient(scene.live.target) as client:
        renderer = AsyncOfflineRenderer(client)
        renders = (renderer.render("companion@9.0.0", payload=PAYLOAD) for _ in range(20))
        made = await asyncio.gather(*renders, return_exceptions=True)
        assert ["GetBundle"] * 2 == scene.asked()
        with pytest.raises(PeciaError, match="BUNDLE_NOT_FOUND"):
            await renderer.render("companion@9.0.0", payload=PAYLOAD)
        assert ["GetBundle"] == scene.asked()
    assert ["BUNDLE_NOT_FOUND"] * 20 == [each.reason for each in made if isinstance(each, PeciaError)]


class Holding(AsyncClient):
    """Holds what it is told of bundles until that is let go."""

    def __init__(self, target: str, *, retry: RetryPolicy | None = None) -> None:
        super().__init__(target, retry=retry)
        self.asked = 0
        self.was_told, self.let_go = asyncio.Event(), asyncio.Event()

    async def get_bundle(
        self,
        bundle: str | BundleRef,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the client's
    ) -> GetBundleResponse:
        """Ask for a bundle."""
        self.asked += 1
        try:
            return await super().get_bundle(bundle, timeout=timeout)
        finally:
            self.was_told.set()
            await self.let_go.wait()


@pytest.mark.parametrize("just_ending", [False, True], ids=["under way", "just ending"])
async def test_a_version_that_was_published_is_found_by_who_asks_afterwards(
    just_ending: bool, tmp_path: Path
) -> None:
    """Nobody is told that it is missing by an answer from before, also not in the turn in which it comes."""
    async with scene_of(AsyncOffline, tmp_path) as scene, Holding(scene.live.target) as client:
        renderer = AsyncOfflineRenderer(client)
        before = asyncio.create_task(renderer.render("new@1.0.0", payload=PAYLOAD))
        await client.was_told.wait()
        await publish(scene.live.registry, bundle_id="new", tags=["gpt-4o"])
        if just_ending:
            client.let_go.set()
        after = asyncio.create_task(renderer.render("new@1.0.0", payload=PAYLOAD))
        await asyncio.sleep(0)
        client.let_go.set()
        first, second = await asyncio.gather(before, after, return_exceptions=True)
    assert isinstance(first, PeciaError)
    assert isinstance(second, OfflineRender)
    assert (grpc.StatusCode.NOT_FOUND, "new", 2) == (first.code, second.bundle_id, client.asked)


async def test_tasks_that_miss_at_once_share_the_absence_of_the_server() -> None:
    """That the server is away holds for all who wait, and is asked once."""
    async with Holding("127.0.0.1:1") as client:
        renderer = AsyncOfflineRenderer(client)
        renders = [asyncio.create_task(renderer.render("new@1.0.0", payload=PAYLOAD)) for _ in range(20)]
        await client.was_told.wait()
        client.let_go.set()
        made = await asyncio.gather(*renders, return_exceptions=True)
    codes = {each.code for each in made if isinstance(each, PeciaError)}
    assert ({grpc.StatusCode.UNAVAILABLE}, 20, 1) == (codes, len(made), client.asked)


async def test_a_label_that_moved_is_seen_by_who_asks_afterwards(tmp_path: Path) -> None:
    """Nobody is handed the outcome of a question that was asked before the move."""
    async with scene_of(AsyncOffline, tmp_path) as scene, AsyncClient(scene.live.target) as client:
        renderer = AsyncOfflineRenderer(client)
        await client.set_label("companion", "production", "1.0.0")
        early = [
            asyncio.create_task(renderer.render("companion@production", payload=PAYLOAD)) for _ in range(20)
        ]
        await client.set_label("companion", "production", "1.1.0")
        late = await renderer.render("companion@production", payload=PAYLOAD)
        await asyncio.gather(*early)
    assert "1.1.0" == late.semver


async def test_threads_share_a_renderer(tmp_path: Path) -> None:
    """Each gets its own prompt, and few bundles are fetched twice."""
    async with scene_of(BlockingOffline, tmp_path) as scene:

        def job() -> list[str]:
            with Client(scene.live.target) as client, ThreadPoolExecutor(8) as pool:
                renderer = OfflineRenderer(client)
                tasks = [str(number) for number in range(400)]
                made = pool.map(
                    lambda task: renderer.render("companion@1.0.0", payload=payload(task=task)), tasks
                )
                return [each.prompt.rpartition(" ")[2] for each in made]

        assert [str(number) for number in range(400)] == await asyncio.to_thread(job)
        assert len(scene.asked()) <= 8 * len(FETCH)

"""Clients that publish, label, render and verify at random, and write down what they are answered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeAlias

from grpc import aio
from pecia.v1 import prompt_service_pb2 as pb
from pecia.v1 import registry_service_pb2 as registry_pb
from pecia.v1 import replay_pb2
from support.faults import registry_model as model
from support.faults.linearizable import Call
from support.faults.registry_model import LabelState
from support.faults.served import Client
from support.statuses import read_failure
from support.wire import bundle, label_ref, payload, template, version_ref

BUNDLE: Final = "companion"
VERSIONS: Final = tuple(f"{number}.0.0" for number in range(1, 5))
LABELS: Final = ("one", "two", "three")
COUNTER: Final = "counter"
VARIANTS: Final = ("1.0.0", "2.0.0", "3.0.0")

# A call that is not answered within this time has an unknown outcome.
DEADLINE: Final = 30.0
_Send: TypeAlias = Callable[[], Awaitable[Any]]
_PENDING: Final = "AUDIT_RECORD_PENDING"


@dataclass
class History:
    """What all clients were answered: the calls of each label and of each version, and of each render."""

    labels: dict[str, list[Call[LabelState]]] = field(default_factory=dict)
    versions: dict[str, list[Call[str]]] = field(default_factory=dict)
    rendered: list[str] = field(default_factory=list)
    counted: int = 0
    pending: int = 0
    verified: int = 0
    faults: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    unknown: int = 0

    @property
    def calls(self) -> int:
        """How many calls the checker looks at."""
        return sum(map(len, self.labels.values())) + sum(map(len, self.versions.values()))


class RandomClient:
    """One client; all of them write into one history, by one clock."""

    def __init__(self, name: str, client: Client, history: History, random: Random) -> None:
        self._name = name
        self._client = client
        self._history = history
        self._random = random
        self._etags: dict[str, str] = {}
        self._numbers = 0

    async def run(self, calls: int) -> None:
        """Make so many calls, one after the other."""
        kinds: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (5, self.set_label),
            (2, self.roll_back),
            (1, self.delete),
            (4, self.list_label),
            (6, self.render_label),
            (3, self.publish),
            (4, self.render_version),
            (2, self.get_version),
            (3, self.replay),
            (1, self.verify),
        ]
        for _ in range(calls):
            (kind,) = self._random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])
            self._history.kinds[kind.__name__] += 1
            await kind()

    async def count(self, turns: int) -> None:
        """Move the counter on by one so often, from where it was read, and try again when refused."""
        while turns:
            semver, etag = await self._read(COUNTER)
            following = f"{int(semver.partition('.')[0] or 0) + 1}.0.0"
            if await self._set(COUNTER, following, etag):
                self._history.counted += 1
                turns -= 1

    async def set_label(self) -> None:
        """Set a label to any version, with the etag that was seen last, or with none."""
        label = self._random.choice(LABELS)
        etag = self._random.choice((None, None, self._etags.get(label, "")))
        await self._set(label, self._random.choice(VERSIONS), etag)

    async def roll_back(self) -> None:
        """Roll a label back from the etag that was seen last."""
        label = self._random.choice(LABELS)
        etag = self._etags.get(label, "")
        if not etag:
            return
        request = registry_pb.RollBackLabelRequest(bundle_id=BUNDLE, label=label, etag=etag)
        answers: dict[str, Any] = {
            "ETAG_MISMATCH": lambda: model.was_mismatch(etag),
            "LABEL_NOT_FOUND": model.was_absent,
            "LABEL_HISTORY_EXHAUSTED": lambda: model.was_exhausted(etag),
        }
        answer = await self._label(
            label,
            f"roll back from {etag}",
            lambda: self._client.registry.RollBackLabel(request, timeout=DEADLINE),
            lambda answer: model.was_rolled_back(etag, answer.label.semver, answer.label.etag),
            answers,
        )
        if answer is not None:
            self._etags[label] = answer.label.etag

    async def delete(self) -> None:
        """Delete a label, whatever is there."""
        label = self._random.choice(LABELS)
        request = registry_pb.DeleteLabelRequest(bundle_id=BUNDLE, label=label)
        await self._label(
            label,
            "delete",
            lambda: self._client.registry.DeleteLabel(request, timeout=DEADLINE),
            lambda _: model.was_deleted(""),
            {"LABEL_NOT_FOUND": model.was_absent},
        )

    async def list_label(self) -> None:
        """Read where a label is, and its etag."""
        await self._read(self._random.choice(LABELS))

    async def render_label(self) -> None:
        """Render by a label."""
        label = self._random.choice(LABELS)
        request = pb.RenderRequest(bundle=label_ref(label, BUNDLE), payload=self._payload())
        answer = await self._label(
            label,
            "render",
            lambda: self._client.prompts.Render(request, timeout=DEADLINE),
            lambda answer: model.was_read(answer.receipt.semver),
            {"LABEL_NOT_FOUND": model.was_absent},
        )
        if answer is not None:
            self._history.rendered.append(answer.receipt.render_id)

    async def publish(self) -> None:
        """Publish one of the newest versions in one of three variants, which others publish too."""
        semver, variant = self._version(), self._random.choice(VARIANTS)
        definition = bundle("raced", semver, prefix=BUNDLE, versions={"task": variant})
        request = registry_pb.PublishBundleRequest(bundle=definition)
        await self._versioned(
            semver,
            f"publish {variant}",
            lambda: self._client.registry.PublishBundle(request, timeout=DEADLINE),
            lambda _: model.was_published(variant),
            {"BUNDLE_ALREADY_EXISTS": lambda: model.was_refused(variant)},
        )

    async def render_version(self) -> None:
        """Render one of the newest versions, which may be cached."""
        semver = self._version()
        request = pb.RenderRequest(bundle=version_ref(semver, "raced"), payload=self._payload())
        await self._versioned(
            semver,
            "render",
            lambda: self._client.prompts.Render(request, timeout=DEADLINE),
            # The task's template ends with its version.
            lambda answer: model.was_found(answer.prompt.rpartition("v")[2]),
            {"BUNDLE_NOT_FOUND": lambda: model.was_found("")},
        )

    async def get_version(self) -> None:
        """Read one of the newest versions."""
        semver = self._version()
        request = registry_pb.GetBundleRequest(bundle=version_ref(semver, "raced"))
        await self._versioned(
            semver,
            "get",
            lambda: self._client.registry.GetBundle(request, timeout=DEADLINE),
            lambda answer: model.was_found(answer.bundle.definition.slots.task.semver),
            {"BUNDLE_NOT_FOUND": lambda: model.was_found("")},
        )

    async def replay(self) -> None:
        """Replay one of the newest renders, of any client on any process."""
        if not self._history.rendered:
            return
        render_id = self._random.choice(self._history.rendered[-20:])
        try:
            answer = await self._client.prompts.Replay(
                pb.ReplayRequest(render_id=render_id), timeout=DEADLINE
            )
        except aio.AioRpcError as error:
            if read_failure(error).reason != _PENDING:
                self._history.faults.append(f"replay: {read_failure(error).reason}")
            self._history.pending += 1
            return
        self._history.verified += 1
        if answer.result.verdict != replay_pb2.REPLAY_VERDICT_MATCH:
            self._history.faults.append(f"replay: {answer.result}")

    async def verify(self) -> None:
        """Verify all records there are."""
        async for event in self._client.prompts.VerifyAudit(pb.VerifyAuditRequest(), timeout=DEADLINE):
            if event.HasField("finding"):
                self._history.faults.append(f"verify: {event.finding}")
            elif event.HasField("summary"):
                self._history.verified += event.summary.matched

    def _version(self) -> str:
        """Choose one of the versions that are being published about now."""
        self._numbers += 1
        return f"{self._numbers // 12}.{self._random.randrange(3)}.0"

    def _payload(self) -> Any:
        return payload(task=f"{self._name} {self._random.randrange(10**9)}")

    async def _read(self, label: str) -> tuple[str, str]:
        """Read a label; return its version and etag, both empty when it is not there."""
        began = time.monotonic()
        listed = await self._client.registry.ListLabels(
            registry_pb.ListLabelsRequest(bundle_id=BUNDLE, page_size=200), timeout=DEADLINE
        )
        ended = time.monotonic()
        found = {item.label: (item.semver, item.etag) for item in listed.labels}
        semver, etag = found.get(label, ("", ""))
        step = model.was_read(semver, etag)
        history = self._history.labels.setdefault(label, [])
        history.append(Call(began, ended, f"{self._name}: read {semver}", step))
        self._etags[label] = etag
        return semver, etag

    async def _set(self, label: str, semver: str, etag: str | None) -> bool:
        request = registry_pb.SetLabelRequest(bundle_id=BUNDLE, label=label, semver=semver)
        if etag is not None:
            request.etag = etag
        answers: dict[str, Any] = {"ETAG_MISMATCH": lambda: model.was_mismatch(etag or "")}
        answer = await self._label(
            label,
            f"set {semver}",
            lambda: self._client.registry.SetLabel(request, timeout=DEADLINE),
            lambda answer: model.was_set(semver, etag, answer.label.etag),
            answers,
        )
        if answer is not None:
            self._etags[label] = answer.label.etag
        return answer is not None

    async def _label(
        self,
        label: str,
        what: str,
        send: _Send,
        answered: Callable[[Any], model.Step],
        refusals: dict[str, Callable[[], model.Step]],
    ) -> Any:
        """Make a call about a label and note it."""
        return await self._noted(self._history.labels.setdefault(label, []), what, send, answered, refusals)

    async def _versioned(
        self,
        semver: str,
        what: str,
        send: _Send,
        answered: Callable[[Any], Any],
        refusals: dict[str, Callable[[], Any]],
    ) -> None:
        """Make a call about a version and note it."""
        await self._noted(self._history.versions.setdefault(semver, []), what, send, answered, refusals)

    async def _noted(
        self,
        history: list[Call[Any]],
        what: str,
        send: _Send,
        answered: Callable[[Any], Any],
        refusals: dict[str, Callable[[], Any]],
    ) -> Any:
        began = time.monotonic()
        try:
            answer = await send()
        except aio.AioRpcError as error:
            reason = read_failure(error).reason
            if reason not in refusals:
                # What it would have answered is not known, so the history can't be judged with it.
                self._history.unknown += 1
                self._history.faults.append(f"{what}: {error.code().name} {reason}")
                return None
            ended = time.monotonic()
            name = f"{self._name}: {what} refused, {reason}"
            history.append(Call(began, ended, name, refusals[reason]()))
            return None
        history.append(Call(began, time.monotonic(), f"{self._name}: {what}", answered(answer)))
        return answer


async def prepare(client: Client, counted: int) -> None:
    """Publish the pieces: versions for the labels and the counter, and three tasks for the variants."""
    for slot in ("system", "personality", "activity"):
        await _publish(client, f"{BUNDLE}-{slot}", "1.0.0", f"{slot}.")
    for variant in VARIANTS:
        await _publish(client, f"{BUNDLE}-task", variant, f"{{{{task}}}} v{variant}")
    for number in range(1, max(counted, len(VERSIONS)) + 1):
        definition = bundle(BUNDLE, f"{number}.0.0")
        await client.registry.PublishBundle(registry_pb.PublishBundleRequest(bundle=definition))


async def _publish(client: Client, template_id: str, semver: str, content: str) -> None:
    definition = template(template_id, semver, content)
    await client.registry.PublishTemplate(registry_pb.PublishTemplateRequest(template=definition))

"""Keep the bundles that were fetched and proved: bounded, and never longer without asking than was agreed."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from pecia.v1 import bundle_pb2, template_pb2
from pecia_service.registry.model import TemplateRef, damaged_bundle
from pecia_service.rendering.model import ResolvedBundle

from pecia_client.errors import PeciaError
from pecia_client.offline.pieces import prove, prove_definition
from pecia_client.offline.render import pecia_errors
from pecia_client.requests import template_ref

Name: TypeAlias = tuple[str, str]
"""A bundle's id, and a version or a label."""

_ENTRY_BYTES = 4_000
# Then nobody knows what a server would say; anything else is what it says.
_AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


@dataclass(frozen=True, slots=True)
class BundleCacheStatistics:
    """What a cache did so far, and what it holds.

    Attributes:
        hits: Renders from a bundle that was young enough.
        checks: Bundles that the server was asked for again, and that were what is kept.
        fetches: Bundles whose templates were fetched.
        stale: Renders from a bundle that was too old, while the server could not be reached.
        evictions: Bundles that others displaced.
        entries: Bundles that are kept.
        weight: About how many bytes they take.

    """

    hits: int
    checks: int
    fetches: int
    stale: int
    evictions: int
    entries: int
    weight: int


@dataclass(slots=True)
class _Entry:
    resolved: ResolvedBundle
    weight: int
    checked_at: float


@dataclass(frozen=True, slots=True)
class _Pointer:
    semver: str
    read_at: float


class BundleCache:
    """Keeps bundles by exact version, least recently used first to go; safe to share between threads.

    A published version never changes, so that age matters for one thing only: an administrator can erase the
    text of a template. A bundle older than `max_age` is therefore asked for again, by one small call, before
    it is rendered; if a template of it was erased, every bundle that holds the template is dropped and the
    render fails with TEMPLATE_ERASED. So this process renders erased text for `max_age` seconds at the
    longest after the server knows of it, and for `max_stale` more while the server cannot be reached. A
    bundle that nobody renders any more leaves memory when the server has been asked for another one after
    that time, or by `forget`.

    One cache belongs to the clients of one server and one tenant.
    """

    def __init__(
        self,
        *,
        max_entries: int = 256,
        max_bytes: int = 64 * 1024 * 1024,
        max_age: float = 300.0,
        max_stale: float = 0.0,
        label_staleness: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty cache.

        Args:
            max_entries: How many bundles, and how many labels, it keeps at most.
            max_bytes: How many bytes they may take, about; a bundle that is larger is not kept.
            max_age: Seconds after which a bundle is asked for again before it is rendered.
            max_stale: Seconds that a bundle or a label may be older than agreed while the server is
                UNAVAILABLE, RESOURCE_EXHAUSTED, or does not answer in time; 0 means that renders fail then.
            label_staleness: Seconds for which the version that a label points to is taken as read, at most
                `max_age`; 0 means that every render by label asks the server.
            clock: Gives seconds that never go back.

        Raises:
            ValueError: A bound is not positive, or a time is negative or not finite.

        """
        if max_entries < 1 or max_bytes < 1:
            raise ValueError("max_entries and max_bytes must be 1 or more")
        if not all(0 <= seconds < math.inf for seconds in (max_age, max_stale, label_staleness)):
            raise ValueError("max_age, max_stale and label_staleness are seconds, 0 or more")
        if label_staleness > max_age:
            raise ValueError("label_staleness must be at most max_age")
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._max_stale = max_stale
        self._label_staleness = label_staleness
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Name, _Entry] = OrderedDict()
        self._pointers: OrderedDict[Name, _Pointer] = OrderedDict()
        self._era = 0
        self._weight = 0
        self._hits = self._checks = self._fetches = self._stale = self._evictions = 0

    def find(self, ref: bundle_pb2.BundleRef) -> ResolvedBundle | None:
        """Return what a reference names if that is known and young enough."""
        with self._lock:
            entry = self._entry(ref, extra=0.0)
            if entry is not None:
                self._hits += 1
            return None if entry is None else entry.resolved

    def ask(self, ref: bundle_pb2.BundleRef) -> Question:
        """Begin to ask the server what a reference names, as of now."""
        return Question(self, ref, self._clock(), self._era)

    def forget(self, template: str | template_pb2.TemplateRef | None = None) -> None:
        """Drop the bundles that hold a template, named as `ID@VERSION`, or everything.

        What is being fetched now goes to those who wait for it, and is not kept.
        """
        ref = None if template is None else template_ref(template)
        wanted = None if ref is None else TemplateRef(ref.template_id, ref.semver)
        with self._lock:
            self._era += 1
            for name, entry in list(self._entries.items()):
                if wanted is None or wanted in entry.resolved.bundle.slots.values():
                    self._drop(name)
            if wanted is None:
                self._pointers.clear()

    @property
    def era(self) -> int:
        """The number of times that something was forgotten."""
        return self._era

    def statistics(self) -> BundleCacheStatistics:
        """Return counts since the start, and what is held now."""
        with self._lock:
            return BundleCacheStatistics(
                self._hits,
                self._checks,
                self._fetches,
                self._stale,
                self._evictions,
                len(self._entries),
                self._weight,
            )

    def _entry(self, ref: bundle_pb2.BundleRef, *, extra: float) -> _Entry | None:
        """Return what a reference names, unless it or its label is older than agreed and `extra` seconds."""
        now = self._clock()
        semver = ref.semver
        if ref.WhichOneof("selector") == "label":
            pointer = self._pointers.get((ref.bundle_id, ref.label))
            # Without an agreed staleness a label that was read in this very moment is too old as well.
            agreed = self._label_staleness + extra
            if pointer is None or not agreed or now - pointer.read_at > agreed:
                return None
            semver = pointer.semver
        entry = self._entries.get((ref.bundle_id, semver))
        if entry is None or now - entry.checked_at > self._max_age + extra:
            return None
        self._entries.move_to_end((ref.bundle_id, semver))
        return entry

    def _known(self, question: Question, bundle: bundle_pb2.Bundle) -> ResolvedBundle | None:
        definition = bundle.definition
        with self._lock:
            self._point(question, definition.semver)
            entry = self._entries.get((definition.bundle_id, definition.semver))
            if entry is None or not _is_same(entry.resolved, bundle):
                return None
            if question.era == self._era:
                entry.checked_at = max(entry.checked_at, question.asked_at)
            self._entries.move_to_end((definition.bundle_id, definition.semver))
            self._checks += 1
            self._sweep(spared=entry)
            return entry.resolved

    def _keep(self, question: Question, resolved: ResolvedBundle) -> None:
        name = (resolved.bundle.bundle_id, resolved.bundle.semver)
        weight = resolved.weight + _ENTRY_BYTES
        with self._lock:
            self._fetches += 1
            self._sweep()
            if question.era != self._era or weight > self._max_bytes:
                return
            if name in self._entries:
                self._drop(name)
            while self._weight + weight > self._max_bytes or len(self._entries) >= self._max_entries:
                self._drop(next(iter(self._entries)))
                self._evictions += 1
            self._entries[name] = _Entry(resolved, weight, question.asked_at)
            self._weight += weight

    def _point(self, question: Question, semver: str) -> None:
        """Remember where a label points, if that may be of use."""
        ref = question.ref
        if ref.WhichOneof("selector") != "label" or not (self._label_staleness or self._max_stale):
            return
        known = self._pointers.pop((ref.bundle_id, ref.label), None)
        newest = _Pointer(semver, question.asked_at)
        if known is not None and known.read_at > newest.read_at:
            newest = known
        self._pointers[ref.bundle_id, ref.label] = newest
        if len(self._pointers) > self._max_entries:
            self._pointers.popitem(last=False)

    def _fallback(self, ref: bundle_pb2.BundleRef) -> ResolvedBundle | None:
        with self._lock:
            entry = self._entry(ref, extra=self._max_stale) if self._max_stale else None
            self._sweep()
            if entry is not None:
                self._stale += 1
            return None if entry is None else entry.resolved

    def _refused(self, ref: bundle_pb2.BundleRef, error: PeciaError) -> None:
        """Drop what the server does not give any more."""
        if error.reason == "TEMPLATE_ERASED":
            self.forget(
                template_pb2.TemplateRef(
                    template_id=error.metadata.get("template_id", ""), semver=error.metadata.get("semver", "")
                )
            )
        with self._lock:
            if ref.WhichOneof("selector") == "label":
                self._pointers.pop((ref.bundle_id, ref.label), None)
            elif (ref.bundle_id, ref.semver) in self._entries:
                self._drop((ref.bundle_id, ref.semver))

    def _sweep(self, spared: _Entry | None = None) -> None:
        """Let go of what is too old to be rendered in any case, but for what is just rendered."""
        now = self._clock()
        for name, entry in list(self._entries.items()):
            if entry is not spared and now - entry.checked_at > self._max_age + self._max_stale:
                self._drop(name)
        for name, pointer in list(self._pointers.items()):
            if now - pointer.read_at > self._label_staleness + self._max_stale:
                del self._pointers[name]

    def _drop(self, name: Name) -> None:
        self._weight -= self._entries.pop(name).weight


def _is_same(resolved: ResolvedBundle, bundle: bundle_pb2.Bundle) -> bool:
    kept = (resolved.bundle_hash, resolved.bundle.definition_hash)
    return kept == (bundle.bundle_hash, bundle.definition_hash)


@dataclass(frozen=True, slots=True)
class Question:
    """A question to the server, and what its answer means for the cache.

    What the answer allows counts from `asked_at`, because nobody knows when the server looked.
    """

    cache: BundleCache
    ref: bundle_pb2.BundleRef
    asked_at: float
    era: int

    def known(self, bundle: bundle_pb2.Bundle) -> ResolvedBundle | None:
        """Return what is kept if the answer is the same, or None if its templates must be fetched.

        Raises PeciaError (PIECE_DAMAGED) for an answer that is not what was asked for, or not what it was.
        """
        definition = bundle.definition
        with pecia_errors():
            if definition.bundle_id != self.ref.bundle_id or self.ref.semver not in ("", definition.semver):
                raise damaged_bundle(self.ref.bundle_id, self.ref.semver or self.ref.label, "definition")
            prove_definition(bundle)
        return self.cache._known(self, bundle)

    def keep(self, bundle: bundle_pb2.Bundle, templates: Iterable[template_pb2.Template]) -> ResolvedBundle:
        """Prove what was fetched, and keep it; raises PeciaError: PIECE_DAMAGED, TEMPLATE_ERASED."""
        with pecia_errors():
            resolved = prove(bundle, templates)
        self.cache._keep(self, resolved)
        return resolved

    def failed(self, error: PeciaError) -> ResolvedBundle:
        """Return what may stand in for an answer, or raise the error."""
        if error.code in _AWAY:
            fallback = self.cache._fallback(self.ref)
            if fallback is not None:
                return fallback
        else:
            self.cache._refused(self.ref, error)
        raise error

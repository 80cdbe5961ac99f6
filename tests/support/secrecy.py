"""What no log line and no error may hold (keys, payloads, prompts), compared over a whole test run.

The processes of the run (that of the tests, and the servers and commands that they start) write down what is
said and what is secret into files of one folder, `watch` in each; `find_leaks` compares them at the end. Of a
long text two samples are looked for; a text of fewer than `LEAST` characters can be anywhere by chance.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER_VARIABLE = "TEST_SECRECY_DIR"
# Hypothesis takes words of the code, of up to 20 characters, into its payloads; errors have such words too.
LEAST = 21
SAMPLE = 48


@dataclass(frozen=True)
class Leak:
    """A secret (its kind, and where it came from is not told: it is a secret) in something that was said."""

    kind: str
    where: str
    text: str


@dataclass(frozen=True)
class Findings:
    """How much was compared, and what was found."""

    processes: int
    said: Mapping[str, int]
    secrets: Mapping[str, int]
    leaks: Sequence[Leak]


class Notebook:
    """Writes one process's lines; each distinct one once, whole, and at once: the process may be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = -1
        self._file = -1
        self._written: set[tuple[str, str]] = set()

    def said(self, where: str, text: str) -> None:
        """Note a log line or an error."""
        self._write(f"said:{where}", text)

    def secret(self, kind: str, text: str) -> None:
        """Note samples of what must not be said."""
        middle = len(text) // 2
        for sample in {text[:SAMPLE].strip(), text[middle : middle + SAMPLE].strip()}:
            # A sample of blanks or of one character again and again says nothing.
            if len(sample) >= LEAST and len(set(sample)) > LEAST // 2:
                self._write(f"secret:{kind}", sample)

    def _write(self, kind: str, text: str) -> None:
        if self._process != os.getpid():
            self._process = os.getpid()
            self._written = set()
            name = self._folder / f"{self._process}.jsonl"
            self._file = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        if (kind, text) not in self._written:
            self._written.add((kind, text))
            os.write(self._file, json.dumps([kind, text]).encode() + b"\n")


def watch(folder: Path) -> None:
    """Have this process write down, from now on, what it says and what is secret in it."""
    sys.meta_path.insert(0, _Watcher(Notebook(folder)))


def find_leaks(folder: Path) -> Findings:
    """Compare everything that the processes wrote down."""
    said: dict[str, set[str]] = {}
    secrets: dict[str, set[str]] = {}
    files = sorted(folder.glob("*.jsonl"))
    for file in files:
        for kind, text in _lines(file):
            group, _, name = kind.partition(":")
            (said if group == "said" else secrets).setdefault(name, set()).add(text)
    return Findings(
        len(files),
        Counter({where: len(texts) for where, texts in said.items()}),
        Counter({kind: len(texts) for kind, texts in secrets.items()}),
        list(_leaks(said, secrets)),
    )


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_bytes().split(b"\n")[:-1]:
        kind, text = json.loads(line)
        yield kind, text


def _leaks(said: Mapping[str, Iterable[str]], secrets: Mapping[str, Iterable[str]]) -> Iterator[Leak]:
    # By their beginnings, so that each text is walked through once, however many secrets there are.
    samples: dict[str, list[tuple[str, str]]] = {}
    for kind, texts in secrets.items():
        for sample in texts:
            # A log line in JSON has a text with its escapes.
            for form in {sample, json.dumps(sample)[1:-1]}:
                samples.setdefault(form[:LEAST], []).append((kind, form))
    for where, texts in said.items():
        for text in texts:
            for start in range(len(text) - LEAST + 1):
                for kind, form in samples.get(text[start : start + LEAST], ()):
                    if text.startswith(form, start):
                        yield Leak(kind, where, text)


class _Watcher(importlib.abc.MetaPathFinder):
    """Wraps what says something or holds a secret, in each module when it is imported."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._patches: dict[str, Callable[[ModuleType], None]] = {
            "structlog._output": self._watch_logs,
            "pecia_service.errors": self._watch_errors,
            "pecia_service.rendering.payload": self._watch_payloads,
            "pecia_service.rendering.renderer": self._watch_prompts,
            "pecia_service.access.keys": self._watch_keys,
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        patch = self._patches.pop(fullname, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                patch(module)

            loader.exec_module = exec_module
        return spec

    def _watch_logs(self, module: Any) -> None:
        write, notebook = module.WriteLogger.msg, self._notebook

        def msg(logger: object, message: str) -> None:
            notebook.said("log", message)
            write(logger, message)

        for name, value in list(vars(module.WriteLogger).items()):
            if value is write:
                setattr(module.WriteLogger, name, msg)

    def _watch_errors(self, module: Any) -> None:
        create, notebook = module.Error.__init__, self._notebook

        def init(error: Any, *args: Any, **kwargs: Any) -> None:
            create(error, *args, **kwargs)
            violations = [f"{one.field} {one.description}" for one in error.violations]
            notebook.said("error", "\n".join([error.message, *error.metadata.values(), *violations]))

        module.Error.__init__ = init

    def _watch_payloads(self, module: Any) -> None:
        make, notebook = module.Payload._make.__func__, self._notebook

        def made(cls: Any, traits: Any, level: float, stress: float, task: str) -> Any:
            for text in _texts([task, traits]):
                notebook.secret("payload", text)
            return make(cls, traits, level, stress, task)

        module.Payload._make = classmethod(made)

    def _watch_prompts(self, module: Any) -> None:
        render, notebook = module.Renderer.render, self._notebook

        def rendered(renderer: Any, resolved: Any, payload: Any) -> Any:
            result = render(renderer, resolved, payload)
            notebook.secret("prompt", result.prompt)
            return result

        module.Renderer.render = rendered

    def _watch_keys(self, module: Any) -> None:
        create, notebook = module.ApiKey.__init__, self._notebook

        def init(key: Any, *args: Any, **kwargs: Any) -> None:
            create(key, *args, **kwargs)
            notebook.secret("key", key.secret)

        module.ApiKey.__init__ = init


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)

"""Template engines in this process, each with the same four-part prompt, proved to write the same bytes."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from load.bench import sample
from load.bench.rounds import Sample
from pecia_service.rendering.renderer import SEPARATOR, Renderer

OURS: Final = "Pecia's renderer"
OURS_FROM_VALUES: Final = "Pecia's, and the payload normalised and hashed"
JINJA: Final = "Jinja2, compiled"

Render = Callable[[int], str]

# As many different payloads as are rendered in turn.
_PAYLOADS: Final = 64


class OtherPromptError(Exception):
    """An engine writes another prompt: comparing its speed would mean nothing."""


class MissingEngineError(Exception):
    """An engine is not installed."""


@dataclass(frozen=True)
class Engine:
    """A template engine: its name, its distribution, and what makes its render function."""

    name: str
    distribution: str
    make: Callable[[], Render]
    note: str = ""

    def prepare(self) -> Render:
        """Return its render function; raises MissingEngineError, and OtherPromptError for other bytes."""
        try:
            render = self.make()
        except ModuleNotFoundError as error:
            raise MissingEngineError(f"{error.name} is not installed") from None
        of = sample.resolved()
        for number in range(_PAYLOADS):
            if render(number) != sample.render(number, of).prompt:
                raise OtherPromptError(f"{self.name} writes another prompt")
        return render

    @property
    def version(self) -> str:
        """The version that is installed; empty for what comes with Python."""
        return importlib.metadata.version(self.distribution) if self.distribution else ""


def lap(render: Render, seconds: float) -> Sample:
    """Render for about so many seconds."""
    count = 0
    begun, cpu = time.perf_counter(), time.process_time()
    until = begun + seconds
    while time.perf_counter() < until:
        for number in range(_PAYLOADS):
            render(number)
        count += _PAYLOADS
    return Sample(count, time.perf_counter() - begun, time.process_time() - cpu)


def _ours() -> Render:
    renderer, of = Renderer(), sample.resolved()
    payloads = [sample.payload(number) for number in range(_PAYLOADS)]
    return lambda number: renderer.render(of, payloads[number]).prompt


def _ours_from_values() -> Render:
    renderer, of = Renderer(), sample.resolved()
    return lambda number: renderer.render(of, sample.payload(number)).prompt


def _values() -> list[dict[str, Any]]:
    of = sample.resolved()
    return [sample.values(number, of) for number in range(_PAYLOADS)]


def _flat_values() -> list[dict[str, Any]]:
    of = sample.resolved()
    return [sample.flat_values(number, of) for number in range(_PAYLOADS)]


def _jinja(*, hashed: bool = False, whole: bool = False) -> Render:
    jinja2 = importlib.import_module("jinja2")
    environment = jinja2.Environment(autoescape=False, keep_trailing_newline=True)
    texts = list(sample.written_as(lambda path: f"{{{{ {path} }}}}").values())
    templates = [environment.from_string(text) for text in ([SEPARATOR.join(texts)] if whole else texts)]
    values = _values()

    def render(number: int) -> str:
        given = values[number]
        return SEPARATOR.join([template.render(given) for template in templates])

    def render_and_hash(number: int) -> str:
        prompt = render(number)
        hashlib.sha256(prompt.encode()).hexdigest()
        return prompt

    return render_and_hash if hashed else render


def _format() -> Render:
    texts = list(sample.written_as(lambda path: f"{{{sample.flat_name(path)}}}").values())
    values = _flat_values()

    def render(number: int) -> str:
        given = values[number]
        return SEPARATOR.join([text.format(**given) for text in texts])

    return render


def _chevron() -> Render:
    chevron = importlib.import_module("chevron")
    texts = list(sample.written_as(lambda path: f"{{{{{{{path}}}}}}}").values())
    values = _values()

    def render(number: int) -> str:
        given = values[number]
        return SEPARATOR.join([chevron.render(text, given) for text in texts])

    return render


def _langchain() -> Render:
    prompts = importlib.import_module("langchain_core.prompts")
    texts = sample.written_as(lambda path: f"{{{sample.flat_name(path)}}}").values()
    templates = [prompts.PromptTemplate.from_template(text) for text in texts]
    values = _flat_values()

    def render(number: int) -> str:
        given = values[number]
        return SEPARATOR.join(
            [
                template.format(**{name: given[name] for name in template.input_variables})
                for template in templates
            ]
        )

    return render


ENGINES: Final = (
    Engine(OURS, "", _ours, "with the prompt's SHA-256, and each part apart"),
    Engine(JINJA, "jinja2", _jinja, "four templates, joined"),
    Engine("Jinja2, compiled, all four in one template", "jinja2", lambda: _jinja(whole=True)),
    Engine("Jinja2, compiled, and SHA-256", "jinja2", lambda: _jinja(hashed=True)),
    Engine("str.format", "", _format, "flat names"),
    Engine("chevron", "chevron", _chevron, "parses the template at each render"),
    Engine("LangChain's PromptTemplate", "langchain-core", _langchain, "flat names"),
    Engine(OURS_FROM_VALUES, "", _ours_from_values, "two SHA-256, RFC 8785, NFC: all that Render does of it"),
)

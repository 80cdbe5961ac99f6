"""Print digests of everything that is hashed, to be compared between processes, settings and Pythons.

It runs where only the pure core's packages are installed, so it imports nothing else.
"""

import hashlib
import json
import math
import random
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden.recompute import outcome, render
from golden.vectors import recompute_all
from pecia_service.canonical import canonical_json, casefold, normalise_text
from pecia_service.registry.model import TemplateRef
from pecia_service.rendering.model import ResolvedBundle
from pecia_service.rendering.payload import Payload
from pecia_service.rendering.renderer import Renderer
from pecia_service.rendering.sources.directory import read_directory
from support.cases import generate_cases

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "companion"
SURROGATES = range(0xD800, 0xE000)


def characters() -> Iterator[str]:
    """Yield every character of Unicode that text may hold."""
    return (chr(point) for point in range(1, sys.maxunicode + 1) if point not in SURROGATES)


def prompts() -> Iterator[str]:
    """Render every bundle of the example with every payload of it; yield prompts and hashes."""
    contents = read_directory(EXAMPLES)
    templates = {
        TemplateRef(template.template_id, template.semver): template for template in contents.templates
    }
    payloads = [
        Payload.create(**json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((EXAMPLES / "payloads").glob("*.json"))
    ]
    for template in contents.templates:
        yield f"{template.ref} {template.definition_hash} {template.content_hash} {template.constraints_hash}"
    for bundle in contents.bundles:
        resolved = ResolvedBundle.resolve(bundle, {ref: templates[ref] for ref in bundle.slots.values()})
        for payload in payloads:
            result = Renderer().render(resolved, payload)
            yield f"{bundle} {result.prompt_hash} {result.bundle_hash} {result.payload_hash} {result.prompt}"


def vectors() -> Iterator[str]:
    """Yield what the service makes of the input of every golden vector."""
    return (json.dumps(vector, sort_keys=True) for vector in recompute_all())


def generated() -> Iterator[str]:
    """Render a few hundred generated cases; yield prompts and hashes, or the errors."""
    for case in generate_cases(300):
        given = {"bundle": case.bundle, "templates": case.templates, "payload": case.payload}
        yield json.dumps(outcome(render, given), sort_keys=True)


def numbers() -> Iterator[str]:
    """Yield the canonical form of doubles of every magnitude."""
    source = random.Random(20261121)
    for _ in range(100_000):
        (value,) = struct.unpack("<d", source.randbytes(8))
        if math.isfinite(value):
            yield canonical_json(value).decode("ascii")


def normalised() -> Iterator[str]:
    """Yield every character, alone and before a combining accent, in the canonical form of text."""
    for character in characters():
        yield normalise_text(f"{character}a{character}\u0301", "text")


def folded() -> Iterator[str]:
    """Yield every character case-folded."""
    return (casefold(character) for character in characters())


def digest(texts: Iterable[str]) -> str:
    """Return one SHA-256 over many texts."""
    total = hashlib.sha256()
    for text in texts:
        data = text.encode()
        total.update(struct.pack(">Q", len(data)))
        total.update(data)
    return total.hexdigest()


def main() -> None:
    """Print one line for each kind of thing."""
    for kind in (prompts, vectors, generated, numbers, normalised, folded):
        print(digest(kind()), kind.__name__)


if __name__ == "__main__":
    main()

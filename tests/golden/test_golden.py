"""The golden vectors hold: for the service, for a second implementation, and in the contract's comments."""

import importlib.metadata
import json
import re
import struct
import subprocess
import sys
from typing import Any

import pytest
import rfc8785
import unicodedata2
from golden import reference
from golden.inputs import NUMBERS
from golden.recompute import SECTIONS, bundle, outcome, payload, render, template
from golden.vectors import DIRECTORY, INPUTS, differences, read, recompute_all
from support.cases import Case, generate_cases
from support.checkout import ROOT, SERVICE

PROTOS = ROOT / "protos" / "pecia" / "v1"


def expected(name: str, section: str) -> list[Any]:
    """Return the vectors of a list that are not refused, each as a test parameter."""
    vectors = read(name)[section]
    return [pytest.param(vector, id=vector["name"]) for vector in vectors if "expected" in vector]


def test_vectors_are_what_the_service_makes() -> None:
    """Writing the vectors anew changes nothing: no recorded hash is broken."""
    assert "".join(differences()) == ""


def test_vectors_on_disk_give_their_outcomes() -> None:
    """The inputs as other languages read them, from the files, give the outcomes beside them."""
    recorded = [
        (name, section, vector["name"], {key: vector[key] for key in vector if key not in ("name", "input")})
        for name, computers in SECTIONS.items()
        for section in computers
        for vector in read(name)[section]
    ]
    assert list(recompute_all()) == recorded


def test_refused_vectors_are_those_named_so() -> None:
    """Each vector that is meant to be refused is, and no other."""
    outcomes = [
        ("refused" in title, "error" in outcome(SECTIONS[name][section], given))
        for name, lists in INPUTS.items()
        for section, inputs in lists.items()
        for title, given in inputs.items()
    ]
    assert {(True, True), (False, False)} == set(outcomes)


def test_check_prints_what_differs(tmp_path: Any) -> None:
    """`generate.py --check` exits with 1 and a diff where a hash changed, and with 0 where nothing did."""
    copy = tmp_path / "tests"
    for folder in ("golden", "support"):
        (copy / folder).mkdir(parents=True)
        for path in (ROOT / "tests" / folder).glob("*.*"):
            (copy / folder / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, str(copy / "golden" / "generate.py"), "--check"]
    environment = {"PYTHONPATH": str(SERVICE), "PYTHONDONTWRITEBYTECODE": "1"}
    intact = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    changed = copy / "golden" / "payloads.json"
    text = changed.read_text(encoding="ascii")
    changed.write_text(text.replace("f8ed78ee", "00000000"), encoding="ascii")
    differing = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (intact.returncode, intact.stdout, intact.stderr) == (0, "", "")
    lines = re.findall(r"^([-+]) .*\"([0-9a-f]{8})", differing.stdout, re.MULTILINE)
    assert (differing.returncode, lines) == (1, [("-", "00000000"), ("+", "f8ed78ee")])


@pytest.mark.parametrize("name", INPUTS)
def test_files_are_ascii_with_distinct_names(name: str) -> None:
    """Any JSON reader gets the same strings, and finds a vector by its name."""
    data = (DIRECTORY / f"{name}.json").read_bytes()
    assert data.isascii()
    for vectors in json.loads(data).values():
        assert len({vector["name"] for vector in vectors}) == len(vectors)


@pytest.mark.parametrize("vector", expected("text", "texts"))
def test_texts(vector: Any) -> None:
    """The normal form is NFC of Unicode 18 as the second implementation makes it."""
    normal = reference.normalise(vector["input"])
    assert vector["expected"]["normalised"] == normal == unicodedata2.normalize("NFC", normal)
    assert vector["expected"]["utf8_sha256"] == reference.sha256(normal.encode())


@pytest.mark.parametrize("vector", expected("canonical_json", "values"))
def test_values(vector: Any) -> None:
    """The canonical form is that of the rfc8785 package."""
    written = rfc8785.dumps(json.loads(vector["input"]))
    assert vector["expected"] == {"canonical": written.decode(), "sha256": reference.sha256(written)}


@pytest.mark.parametrize("vector", expected("canonical_json", "numbers"))
def test_numbers(vector: Any) -> None:
    """The text is the one of the rfc8785 package, and reads back as the same double."""
    (value,) = struct.unpack(">d", bytes.fromhex(vector["input"]))
    text = vector["expected"]["canonical"]
    assert text == rfc8785.dumps(value).decode()
    assert float(text) == value


def test_numbers_have_the_table_of_the_rfc() -> None:
    """All rows of RFC 8785, appendix B, that have a text are among the numbers."""
    assert len(NUMBERS) == len(set(NUMBERS)) >= 24
    assert {"0000000000000001", "444b1ae4d6e2ef50", "43143ff3c1cb0959"} <= set(NUMBERS)


@pytest.mark.parametrize("vector", expected("payloads", "payloads"))
def test_payloads(vector: Any) -> None:
    """Canonical form and hash are those of the second implementation."""
    written = reference.payload_bytes(vector["input"])
    assert vector["expected"] == {"canonical": written.decode(), "payload_hash": reference.sha256(written)}


@pytest.mark.parametrize("vector", expected("constraints", "constraints"))
def test_constraints(vector: Any) -> None:
    """Canonical form and hash are those of the second implementation."""
    written = rfc8785.dumps(reference.constraints_object(vector["input"]))
    assert vector["expected"] == {
        "canonical": written.decode(),
        "constraints_hash": reference.sha256(written),
    }


@pytest.mark.parametrize("vector", expected("constraints", "effective"))
def test_effective_constraints(vector: Any) -> None:
    """The merged object is that of the second implementation."""
    written = rfc8785.dumps(reference.effective_constraints(vector["input"]))
    assert vector["expected"] == {"canonical": written.decode()}


def template_by_reference(given: Any) -> dict[str, str]:
    """Return what the second implementation makes of a template."""
    content, definition = reference.content_of(given), reference.template_bytes(given)
    constraints = rfc8785.dumps(reference.constraints_object(given.get("constraints")))
    return {
        "content": content,
        "content_hash": reference.sha256(content.encode()),
        "constraints": constraints.decode(),
        "constraints_hash": reference.sha256(constraints),
        "definition": definition.decode(),
        "definition_hash": reference.sha256(definition),
    }


def bundle_by_reference(given: Any) -> dict[str, str]:
    """Return what the second implementation makes of a bundle."""
    definition = reference.bundle_bytes(given["bundle"])
    identity = reference.bundle_identity_bytes(given["bundle"], given["templates"])
    return {
        "definition": definition.decode(),
        "definition_hash": reference.sha256(definition),
        "bundle": identity.decode(),
        "bundle_hash": reference.sha256(identity),
    }


def render_by_reference(given: Any) -> dict[str, Any]:
    """Return what the second implementation makes of a render."""
    chosen = reference.in_slots(given["bundle"], given["templates"])
    texts = reference.render_texts(given["bundle"], given["templates"], given["payload"])
    prompt = "\n\n".join(texts)
    effective = reference.effective_constraints(each.get("constraints") for each in chosen.values())
    return {
        "prompt": prompt,
        "prompt_hash": reference.sha256(prompt.encode()),
        "parts": [
            {"slot": slot, "role": chosen[slot]["role"], "text": text}
            for slot, text in zip(chosen, texts, strict=True)
        ],
        "constraints": rfc8785.dumps(effective).decode(),
        "bundle_hash": bundle_by_reference(given)["bundle_hash"],
        "payload_hash": reference.sha256(reference.payload_bytes(given["payload"])),
        "renderer_version": "1",
    }


@pytest.mark.parametrize("vector", expected("templates", "templates"))
def test_templates(vector: Any) -> None:
    """Canonical forms and hashes are those of the second implementation."""
    assert vector["expected"] == template_by_reference(vector["input"])


@pytest.mark.parametrize("vector", expected("bundles", "bundles"))
def test_bundles(vector: Any) -> None:
    """Canonical forms and hashes are those of the second implementation."""
    assert vector["expected"] == bundle_by_reference(vector["input"])


@pytest.mark.parametrize("vector", expected("renders", "renders"))
def test_renders(vector: Any) -> None:
    """Prompt, parts and hashes are those of the second implementation."""
    assert vector["expected"] == render_by_reference(vector["input"])


def given_by(case: Case) -> dict[str, Any]:
    """Return a generated case in the form of a vector's input."""
    return {"bundle": case.bundle, "templates": case.templates, "payload": case.payload}


def test_generated_cases() -> None:
    """Over a thousand generated cases both implementations give the same bytes, or both lack a path."""
    unresolved = 0
    for case in generate_cases(1200, seed=8785):
        given = given_by(case)
        assert [template(each) for each in case.templates] == [*map(template_by_reference, case.templates)]
        assert bundle(given) == bundle_by_reference(given)
        assert payload(case.payload)["canonical"] == reference.payload_bytes(case.payload).decode()
        result = outcome(render, given)
        if "error" in result:
            unresolved += 1
            assert result["error"]["reason"] == "PLACEHOLDER_UNRESOLVED"
            with pytest.raises(KeyError):
                render_by_reference(given)
        else:
            assert result["expected"] == render_by_reference(given)
    assert 0 < unresolved < 120


def comments(name: str) -> str:
    """Return the comments of a file of the contract, as one text."""
    text = (PROTOS / name).read_text(encoding="utf-8")
    return " ".join(re.findall(r"// *(.*)", text))


@pytest.mark.parametrize(
    ("proto", "file", "section"),
    [("payload.proto", "payloads", "payloads"), ("constraints.proto", "constraints", "constraints")],
)
def test_worked_examples_of_the_contract(proto: str, file: str, section: str) -> None:
    """The bytes, their count and their hash in a comment are those of the vector `worked_example`."""
    (vector,) = (vector for vector in read(file)[section] if vector["name"] == "worked_example")
    canonical: str = vector["expected"]["canonical"]
    text = comments(proto)
    assert canonical in text
    assert set(re.findall(r"[0-9a-f]{64}", text)) <= {reference.sha256(canonical.encode())}
    assert {int(count) for count in re.findall(r"give the ([0-9]+) bytes", text)} <= {len(canonical.encode())}


def test_hashes_needs_only_the_pure_core() -> None:
    """The program that other Pythons run imports four packages, and of the service only pure modules."""
    program = (
        "import runpy, sys; before = set(sys.modules);"
        f"runpy.run_path({str(DIRECTORY / 'hashes.py')!r});"
        "print(*set(sys.modules) - before, sep='\\n')"
    )
    environment = {"PYTHONPATH": str(SERVICE)}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    modules = run.stdout.split()
    owners = importlib.metadata.packages_distributions()
    packages = {owner for name in modules for owner in owners.get(name.split(".")[0], ())}
    assert packages - {"pecia"} == {"orjson", "rfc8785", "unicodedata2", "PyYAML"}
    assert {name.split(".")[1] for name in modules if name.startswith("pecia_service.")} == {
        "canonical",
        "errors",
        "registry",
        "rendering",
    }

"""What the Java client's generator says when it cannot generate, and versions in several places."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.checkout import ROOT

from protos.clients.generate import load
from protos.clients.tools import PROTOS, MissingToolError

CLIENT = PROTOS / "clients" / "java" / "pom.xml"
PROGRAM = ROOT / "tests" / "clients" / "java" / "pom.xml"
POM = "{http://maven.apache.org/POM/4.0.0}"


def versions_of(pom: Path) -> dict[str, str]:
    """Return the versions of libraries that a pom.xml sets by properties, and its own."""
    project = ElementTree.parse(pom).getroot()
    properties = project.iterfind(f"{POM}properties/*")
    versions = {each.tag.removeprefix(POM): each.text or "" for each in properties if "version" in each.tag}
    return versions | {"project": project.findtext(f"{POM}version", "")}


def plugins_of(pom: Path) -> dict[str | None, str | None]:
    """Return the versions of the plugins that a pom.xml builds with."""
    plugins = ElementTree.parse(pom).getroot().iterfind(f"{POM}build/{POM}plugins/{POM}plugin")
    return {each.findtext(f"{POM}artifactId"): each.findtext(f"{POM}version") for each in plugins}


def test_the_program_has_the_libraries_of_the_client() -> None:
    """Stubs need the run time that they were made for."""
    assert versions_of(CLIENT) == versions_of(PROGRAM)


def test_every_plugin_has_its_version_once() -> None:
    """Maven would take whichever it knows, and both are built in one run."""
    client, program = plugins_of(CLIENT), plugins_of(PROGRAM)
    assert None not in [*client.values(), *program.values()]
    assert {name: client[name] for name in client if name in program} == {
        name: program[name] for name in program if name in client
    }


def test_the_guide_names_the_versions_of_the_client() -> None:
    """Whoever copies the dependencies gets what the program was proved with."""
    guide = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    shown = re.findall(
        r"<artifactId>(.+)</artifactId>\n *<version>(.+)</version>", guide.partition("```xml\n")[2]
    )
    versions = versions_of(CLIENT)
    assert {
        "protobuf-bom": versions["protobuf.version"],
        "pecia-client": versions["project"],
        "grpc-netty-shaded": versions["grpc.version"],
    } == dict(shown)
    assert f"`io.pecia:pecia-client:{versions['project']}`" in guide


def test_without_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client that is there stays, no tool is there in part, and the error names Maven."""
    kept = tmp_path / "java" / "pom.xml"
    kept.parent.mkdir()
    kept.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        load("java").generate(kept.parent, tmp_path / "tools")
    assert ("mvn", True, []) == (caught.value.tool, kept.exists(), list((tmp_path / "tools").iterdir()))


def test_a_platform_without_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named before Maven is asked for what it does not have."""
    (tmp_path / "mvn").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(MissingToolError, match=r"^protoc is missing: .* on vax; ") as caught:
        load("java").generate(tmp_path / "java", tmp_path / "tools")
    assert "protoc" == caught.value.tool

"""Generate the Java client: messages by protoc, stubs by grpc-java's plugin, both fetched by Maven."""

import platform
import shutil
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from protos.clients.tools import PROTOS, MissingToolError, buf_generate, find, pin, run

USE: Final = (
    "Install it with `mvn -f generated/clients/java/pom.xml install`, and depend on io.pecia:pecia-client."
)

_PROJECT: Final = PROTOS / "clients" / "java"
_TEMPLATE: Final = PROTOS / "clients" / "java.gen.yaml"
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy"
_NAMESPACE: Final = "{http://maven.apache.org/POM/4.0.0}"

_SYSTEMS: Final = {"Linux": "linux", "Darwin": "osx", "Windows": "windows"}
_MACHINES: Final = {
    "x86_64": "x86_64",
    "AMD64": "x86_64",
    "aarch64": "aarch_64",
    "arm64": "aarch_64",
    "ppc64le": "ppcle_64",
    "s390x": "s390_64",
}


def generate(output: Path, tools: Path) -> None:
    """Replace `output` with a Maven project of the library io.pecia:pecia-client.

    Its compilers are of the versions that the library's pom.xml names for its run time: the two must fit.
    Raises `MissingToolError` without Maven and on a platform for which protoc is not built, `ToolError` when
    Maven, buf or a compiler fails.
    """
    versions = _versions(_PROJECT / "pom.xml")
    compilers = {
        "protoc": f"com.google.protobuf:protoc:{versions['protobuf.version']}",
        "protoc-gen-grpc-java": f"io.grpc:protoc-gen-grpc-java:{versions['grpc.version']}",
    }

    def install(folder: Path) -> None:
        for program, artifact in compilers.items():
            _fetch(program, artifact, folder)

    version = f"{versions['protobuf.version']}-{versions['grpc.version']}"
    folder = pin(tools, "protoc-java", version, install)
    if output.exists():
        shutil.rmtree(output)
    shutil.copytree(_PROJECT, output)
    buf_generate(_TEMPLATE, output, folder)


def _versions(pom: Path) -> dict[str, str]:
    """Return the properties of a pom.xml."""
    properties = ElementTree.parse(pom).getroot().find(f"{_NAMESPACE}properties")
    assert properties is not None, f"{pom} pins no versions"
    return {each.tag.removeprefix(_NAMESPACE): (each.text or "").strip() for each in properties}


def _fetch(program: str, artifact: str, folder: Path) -> None:
    """Put the executable of a Maven artifact into `folder`, under the name that buf looks for."""
    maven = find("mvn", "install Maven 3.8 or newer and a JDK 17 (Debian: maven, openjdk-17-jdk-headless)")
    classifier = _classifier()
    copied = folder / "copied"
    run(
        [
            *(maven, "--batch-mode", "--quiet", _COPY),
            f"-Dartifact={artifact}:exe:{classifier}",
            f"-DoutputDirectory={copied}",
        ]
    )
    (executable,) = copied.iterdir()
    executable.chmod(0o755)
    executable.rename(folder / (f"{program}.exe" if classifier.startswith("windows") else program))
    copied.rmdir()


def _classifier() -> str:
    """Return this platform's name in the classifiers of Maven's executables."""
    system, machine = platform.system(), platform.machine()
    if system not in _SYSTEMS or machine not in _MACHINES:
        how = f"Maven has no build of it for {system} on {machine}; generate on another machine"
        raise MissingToolError("protoc", how)
    return f"{_SYSTEMS[system]}-{_MACHINES[machine]}"

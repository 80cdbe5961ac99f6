"""What deploy/ sets is what a server accepts."""

import re
from pathlib import Path

import pytest
from pecia_service.settings import CLIENT_VARIABLES, SETTINGS, Settings
from support.checkout import ROOT
from support.deploy import (
    DEPLOY,
    KUBERNETES,
    Document,
    containers,
    deployment_files,
    instructions,
    kustomized,
    one,
    read_yaml,
)

CONTAINERFILE = DEPLOY / "Containerfile"
# What stands in the Secret, which no file here has.
SECRETS = {"PECIA_DATABASE_URL": "postgresql://pecia:a@db:5432/pecia"}
YAML_FILES = [path for path in deployment_files() if path.suffix in {".yaml", ".yml"}]


def image_environment() -> dict[str, str]:
    """Return the PECIA_* variables that the image sets."""
    text = " ".join(rest for name, rest in instructions(CONTAINERFILE) if name == "ENV")
    return dict(word.split("=", 1) for word in text.split() if word.startswith("PECIA_"))


def pod_environment(documents: list[Document]) -> dict[str, str]:
    """Return the PECIA_* variables of a server's pod; what comes later replaces what was before."""
    (container,) = containers(one(documents, "StatefulSet"))
    assert [{"configMapRef": {"name": "pecia"}}] == container["envFrom"]
    config: dict[str, str] = one(documents, "ConfigMap")["data"]
    return (
        image_environment() | config | {entry["name"]: SECRETS[entry["name"]] for entry in container["env"]}
    )


@pytest.mark.parametrize("path", YAML_FILES, ids=str)
def test_yaml_has_no_key_twice(path: Path) -> None:
    """Of a repeated key, readers take one or the other."""
    assert read_yaml(ROOT / path) != []


@pytest.mark.parametrize("path", deployment_files(), ids=str)
def test_every_variable_is_a_setting(path: Path) -> None:
    """Also those in comments: whoever follows one must not meet a server that refuses to start."""
    known = {setting.env for setting in SETTINGS} | CLIENT_VARIABLES
    named = set(re.findall(r"\bPECIA_[A-Z_]*[A-Z]\b", (ROOT / path).read_text(encoding="utf-8")))
    # The variables that Kubernetes would make of the Service, which is what its comment warns of.
    assert named - known - {"PECIA_PORT"} == set()


def test_pods_serve_beyond_loopback_with_tls_and_authentication() -> None:
    """The settings of the base load, and need no insecure switch."""
    settings = Settings.load(pod_environment(kustomized(KUBERNETES / "base")))
    assert (True, True, False) == (settings.tls, settings.authenticated, settings.insecure_listen)


def test_pods_of_a_mesh_leave_only_tls_to_it() -> None:
    """The settings of the overlay load; callers still have to say who they are."""
    settings = Settings.load(pod_environment(kustomized(KUBERNETES / "mesh")))
    assert (False, True, True) == (settings.tls, settings.authenticated, settings.insecure_listen)

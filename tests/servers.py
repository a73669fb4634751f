"""Real servers for tests: PostgreSQL from the system's package, and an S3-compatible one. Started once a session."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

REQUIRED = "MLFRAME_TEST_SERVERS"
"""Environment variable: when it is `required`, as in CI, an absent server is a failure instead of a skip."""

STOPS_WITH_US = '"$0" "$@" & server=$!; cat >/dev/null; kill -INT $server; wait $server'
"""Runs a server until our end of its input closes, which it also does when we are killed."""


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server.

    Args:
        url: SQLAlchemy address of an empty database on it.
    """

    url: str

    @contextmanager
    def schema(self) -> Iterator[str]:
        """Give the address of a place on the server that nobody else uses."""
        name = f"test_{uuid.uuid4().hex}"
        admin = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA {name}"))
        try:
            url = sa.make_url(self.url).update_query_dict({"options": f"-csearch_path={name}"})
            yield url.render_as_string(hide_password=False)
        finally:
            with admin.connect() as connection:
                connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a PostgreSQL server that listens on a socket in a folder of its own; skip where it is not installed."""
    if "MLFRAME_TEST_POSTGRES" in os.environ:  # somebody's own server
        yield Postgres(os.environ["MLFRAME_TEST_POSTGRES"])
        return
    programs = _postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path may have 107 bytes only
    try:
        user = _unprivileged(folder)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "mlframe", "--auth=trust", "--encoding=UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **user,
        )
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=200")
        command = [programs / "postgres", "-D", data, *(word for item in settings for word in ("-c", item))]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                ["sh", "-c", STOPS_WITH_US, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=folder,
                **user,
            )
        try:
            url = f"postgresql+psycopg://mlframe@/postgres?host={folder}"
            _wait(url, server, folder / "log")
            yield Postgres(url)
        finally:
            server.communicate(timeout=60)  # closes its input
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """Start an S3-compatible server and give the environment variables that lead to it."""
    try:
        from moto.server import ThreadedMotoServer
    except ModuleNotFoundError as error:
        _absent(f"the S3-compatible server is not installed ({error}): pip install -e .[dev]")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.stop()


def _postgres_programs() -> Path:
    """Return the folder of `initdb` and `postgres`; Debian keeps them off the PATH."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    for folder in found:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    _absent(
        "PostgreSQL is not installed (no initdb): apt-get install postgresql, or name a server in MLFRAME_TEST_POSTGRES"
    )
    raise AssertionError


def _absent(reason: str) -> None:
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(reason)
    pytest.skip(reason)


def _unprivileged(folder: Path) -> dict[str, object]:
    """Return how to start a process as a user who owns the folder: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            record = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, record.pw_uid, record.pw_gid)
        return {"user": record.pw_uid, "group": record.pw_gid, "extra_groups": []}
    raise AssertionError("no unprivileged user to run PostgreSQL as")


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    deadline = time.monotonic() + 60
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {log.read_text()}")
            time.sleep(0.05)

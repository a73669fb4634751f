"""Every setting of a prediction server: one record, read from JSON and checked before anything starts."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from mlframe.errors import ConfigError, ParameterError, UnknownNameError

__all__ = ["URL_VARIABLE", "Canary", "LogSettings", "Settings"]

URL_VARIABLE = "MLFRAME_STORE_URL"
"""Environment variable that holds the address of the store's tables: it may hold a password, so no file does."""


@dataclass(frozen=True)
class Canary:
    """A version that answers a share of the requests.

    Args:
        version: number or alias; None for no canary.
        share: between 0 and 1.
        by: what decides: `request_id`, `header:NAME` or `field:NAME` (an input column of the first row). One value
            always gets the same version.
    """

    version: str | None = None
    share: float = 0.05
    by: str = "request_id"


@dataclass(frozen=True)
class LogSettings:
    """How predictions are logged.

    Args:
        flush: seconds between syncs to the disk; a killed worker loses no more.
        rotate_mb: size from which a stream becomes a segment.
        rotate_minutes: age from which it does.
        queue: rows that may wait to be written; more are not logged, and counted.
        keep_days: segments older than this are removed, None keeps all.
        pii: `hash` or `drop` what is in columns tagged pii.
    """

    flush: float = 1.0
    rotate_mb: float = 64.0
    rotate_minutes: float = 60.0
    queue: int = 100_000
    keep_days: int | None = None
    pii: str = "hash"


@dataclass(frozen=True)
class Settings:
    """What a server is told; `conf/deployer/http.yaml` says what each option does.

    Args:
        name: name of the model.
        version: version or alias that answers: `email/7`, `email@champion`.
        store: folder or address of the store.
        run: the run that started it, None without one.
        block: plugins that are not loaded.
        parent: process whose end ends the server, None for none.
    """

    name: str
    version: str
    store: str
    run: str | None = None
    block: tuple[str, ...] = ()
    parent: int | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    threads: int = 1
    reload: float = 2.0
    wait_ms: float = 0.0
    batch_rows: int = 1024
    queue_rows: int = 20_000
    body_mb: float = 16.0
    header_kb: int = 32
    rows: int = 10_000
    timeout: float = 10.0
    grace: float = 20.0
    tls_cert: str | None = None
    tls_key: str | None = None
    auth: str = "auto"
    shadow: str | None = None
    canary: Canary = field(default_factory=Canary)
    log: LogSettings = field(default_factory=LogSettings)
    access_log: str | None = "stderr"

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read a file that `write` made or a person.

        Raises:
            ConfigError: the file cannot be read or holds a value that cannot be used.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The settings cannot be read: {error}",
                where=str(path),
                hint="write them again: mend the file, or deploy anew",
            ) from error
        if not isinstance(values, dict):
            raise ConfigError("The settings are no JSON object", where=str(path), hint='write {"port": 8080, …}')
        return cls.made(values, where=str(path))

    @classmethod
    def made(cls, values: Mapping[str, Any], *, where: str) -> Settings:
        """Build settings from plain values.

        Raises:
            ParameterError: an unknown name, a wrong type, a value that cannot be.
        """
        known = {item.name for item in fields(cls)}
        for name in ("name", "version", "store"):
            if not values.get(name):
                raise ParameterError(f"The settings lack {name!r}", where=where, hint="see docs/serving.md")
        for name in values:
            if name not in known:
                raise ParameterError.unknown("the server", name, known, where=where)
        given = dict(values)
        for key, part in (("canary", Canary), ("log", LogSettings)):
            inner = given.get(key) or {}
            if not isinstance(inner, Mapping):
                raise ParameterError(
                    f"{key} holds several settings", value=inner, where=where, hint=f"give {key}.NAME=…"
                )
            for name in inner:
                if name not in {item.name for item in fields(part)}:
                    raise ParameterError.unknown(key, name, {item.name for item in fields(part)}, where=where)
            given[key] = part(**inner)
        given["block"] = tuple(given.get("block") or ())
        made = cls(**given)
        made._check_types(where)
        made.check(where)
        return made

    def write(self, path: Path) -> None:
        """Write the settings, for `python -m mlframe.serving FILE`."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def _check_types(self, where: str) -> None:
        for holder, prefix in ((self, ""), (self.canary, "canary."), (self.log, "log.")):
            for name, kind in get_type_hints(type(holder)).items():
                value = getattr(holder, name)
                wanted = _KINDS.get(str(kind).removeprefix("<class '").removesuffix("'>"))
                if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
                    raise ParameterError.wrong_type(
                        "the server", f"{prefix}{name}", value, _words(wanted), where=f"{where}, {prefix}{name}"
                    )

    def check(self, where: str) -> None:
        """Check what the values say together.

        Raises:
            ConfigError: what cannot be.
        """
        positive = {
            name: getattr(self, name)
            for name in ("workers", "threads", "reload", "batch_rows", "queue_rows", "body_mb", "rows", "timeout")
        }
        positive |= {
            f"log.{name}": getattr(self.log, name) for name in ("flush", "rotate_mb", "rotate_minutes", "queue")
        }
        for name, value in positive.items():
            if value <= 0:
                raise ParameterError(
                    f"{name} must be above 0",
                    value=value,
                    where=f"{where}, {name}",
                    hint="leave it out for its default",
                )
        for name, value, least, most in (
            ("port", self.port, 0, 65535),
            ("wait_ms", self.wait_ms, 0, 60_000),
            ("grace", self.grace, 0, 86_400),
            ("header_kb", self.header_kb, 8, 1024),
            ("canary.share", self.canary.share, 0, 1),
        ):
            if not least <= value <= most:
                raise ParameterError(
                    f"{name} must lie between {least} and {most:,}",
                    value=value,
                    where=f"{where}, {name}",
                    hint="leave it out for its default",
                )
        for name, word, words in (
            ("auth", self.auth, ("auto", "keys", "none")),
            ("log.pii", self.log.pii, ("hash", "drop")),
        ):
            if word not in words:
                raise UnknownNameError.from_name(f"word for {name}", word, words, where=f"{where}, {name}")
        if self.canary.by != "request_id" and self.canary.by.partition(":")[0] not in ("header", "field"):
            hint = "give request_id, header:NAME or field:NAME"
            raise ParameterError(
                "canary.by names nothing", value=self.canary.by, where=f"{where}, canary.by", hint=hint
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_cert"
            raise ConfigError(
                "TLS needs a certificate and its key", where=f"{where}, {missing}", hint=f"give {missing}"
            )

    # ------------------------------------------------------------------------------------------ what they mean

    @property
    def url(self) -> str | None:
        """Address of the store's tables, None for SQLite in the store."""
        return os.environ.get(URL_VARIABLE) or None

    @property
    def scheme(self) -> str:
        """`https` or `http`."""
        return "https" if self.tls_cert else "http"

    def address(self) -> str:
        """Return the numeric address of `host`.

        Raises:
            ConfigError: the host's name is unknown.
        """
        try:
            return str(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            hint = "give an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all"
            raise ConfigError(
                f"The host is unknown: {error}", value=self.host, where="deployer.host", hint=hint
            ) from error

    def keys_needed(self) -> bool:
        """Whether requests must bring an API key; by default on every address that others can reach."""
        if self.auth == "auto":
            return not ipaddress.ip_address(self.address().partition("%")[0]).is_loopback
        return self.auth == "keys"

    def check_tls(self) -> None:
        """Read certificate and key once.

        Raises:
            ConfigError: a file cannot be read, or they do not belong together.
        """
        if self.tls_cert is None or self.tls_key is None:
            return
        for key, file in (("tls_cert", self.tls_cert), ("tls_key", self.tls_key)):
            try:
                Path(file).read_bytes()
            except OSError as error:
                raise ConfigError(
                    f"A TLS file cannot be read: {error}",
                    value=file,
                    where=f"deployer.{key}",
                    hint="name a PEM file that the server may read",
                ) from error
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key, password="")
        except (ssl.SSLError, ValueError, OSError) as error:
            raise ConfigError(
                f"The TLS certificate and key cannot be used: {error}",
                value=self.tls_cert,
                where="deployer.tls_cert, deployer.tls_key",
                hint="give a PEM certificate chain and its key without a password",
            ) from error

    def reserve(self) -> socket.socket:
        """Take the port for good and share it with the workers: a socket that listens to nobody.

        Raises:
            ConfigError: another process has the port, or it may not be used.
        """
        address = self.address()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        held = socket.socket(family, socket.SOCK_STREAM)
        try:
            if self.port:  # a socket that shares a port does not see that others share it already
                with socket.socket(family, socket.SOCK_STREAM) as alone:
                    alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    alone.bind((address, self.port))
                    alone.listen(1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind((address, self.port))
        except OSError as error:
            held.close()
            raise ConfigError(
                f"The server cannot listen on {self.host}:{self.port}: {error.strerror or error}",
                where="deployer.host, deployer.port",
                hint="stop what listens there, or give deployer.port=NUMBER (0 takes a free one)",
            ) from error
        return held


_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
    "str | None": (str, type(None)),
}


def _words(kinds: tuple[type, ...]) -> str:
    names = {int: "whole number", float: "number", str: "text", type(None): "null"}
    return " or ".join(names[kind] for kind in kinds)

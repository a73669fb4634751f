"""Writes systemd units for a machine without containers: the server, and the process that operates the model."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlframe.contracts import Deployer, Deployment
from mlframe.deployers.folders import written_whole
from mlframe.deployers.observing import alert_values, megabytes, operate_words, write_observing, writer
from mlframe.errors import ConfigError

__all__ = ["SystemdDeployer"]


class SystemdDeployer(Deployer):
    """Writes a folder with units; nothing is installed or started here.

    Args:
        folder: the folder; None takes `output`, then `systemd`.
        python: the interpreter that has mlframe; None takes this one.
        directory: working directory of both processes, with `conf` and `mlframe_project.py`; None takes this one.
        user: whose processes they are; None leaves that to systemd: root in the system's units, oneself in one's own.
        host: address that the server listens on.
        port: port of the server.
        workers: processes that answer.
        memory: memory that the server may use.
        train_memory: memory that a training may use.
        operate: overrides of the process that operates, beside those of the training.
        alerts: limits of the rules for alerts: errors (share), latency_ms, silence and stale (spans of time).
    """

    def __init__(
        self,
        folder: str | None = None,
        python: str | None = None,
        directory: str | None = None,
        user: str | None = None,
        host: str = "127.0.0.1",
        port: int = 8080,
        workers: int = 1,
        memory: str = "1GB",
        train_memory: str = "4GB",
        operate: Sequence[str] = ("update=triggered",),
        alerts: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.python = python or sys.executable
        self.directory = Path(directory or Path.cwd()).absolute()
        self.user = user
        self.host, self.port, self.workers = host, port, workers
        self.memory = megabytes(memory, "deployer.memory")
        self.train_memory = megabytes(train_memory, "deployer.train_memory")
        self.operate = list(operate)
        self.alerts = alert_values(alerts)
        if not Path(self.python).is_absolute():
            raise ConfigError(
                "systemd wants the whole path of a program",
                value=self.python,
                where="deployer.python",
                hint="such as /srv/mlframe/.venv/bin/python",
            )
        if user is not None and not re.fullmatch(r"[a-z_][a-z0-9_-]*", user):
            raise ConfigError("This is no name of a user", value=user, where="deployer.user", hint="such as mlframe")

    def deploy(self, order: Deployment) -> Mapping[str, Any]:
        """Write the folder, whole or not at all."""
        folder = Path(self.folder or order.output or "systemd").absolute()
        with written_whole(folder, order.reference) as made:
            units = self._write(made, folder, order)
        names = " ".join(unit.removesuffix(".service") for unit in units)
        order.say(f"sudo cp {folder}/*.service /etc/systemd/system/ && sudo systemctl enable --now {names}")
        return {
            "version": order.reference,
            "folder": str(folder),
            "units": units,
            "undo": f"sudo systemctl disable --now {names}, remove the units from /etc/systemd/system and {folder}",
        }

    def _write(self, made: Path, folder: Path, order: Deployment) -> list[str]:
        slug = re.sub(r"[^a-z0-9]+", "-", order.name.lower()).strip("-")
        keys = self.host not in ("127.0.0.1", "localhost", "::1")
        local = "://" not in order.store_root
        store = str(Path(order.store_root).absolute()) if local else order.store_root
        words = operate_words(order.command, [*self.operate, f"store.root={store}"])
        values = {
            "name": order.name,
            "slug": slug,
            "reference": order.reference,
            "directory": _escaped(str(self.directory)),
            "user": self.user,
            "writable": _escaped(store) if local else None,
            "server": _command([self.python, "-m", "mlframe.serving", str(folder / "serving.json")]),
            "operate": _command([self.python, "-m", "mlframe", *words]),
            "memory_mb": self.memory,
            "train_memory_mb": self.train_memory,
        }
        templates = writer()
        units = []
        for kind in ("server", "operate"):
            unit = f"mlframe-{slug}-{kind}.service"
            text = templates.get_template(f"systemd-{kind}.service").render(values)
            (made / unit).write_text(text, encoding="utf-8")
            units.append(unit)
        serving = {
            "name": order.name,
            "version": order.follows or f"{order.name}@champion",
            "store": store,
            "host": self.host,
            "port": self.port,
            "workers": self.workers,
            "auth": "keys" if keys else "none",
        }
        (made / "serving.json").write_text(json.dumps(serving, indent=1) + "\n", encoding="utf-8")
        address = f"[{self.host}]" if ":" in self.host else self.host
        observed = {
            "name": order.name,
            "slug": slug,
            "target": f"{address.replace('0.0.0.0', '127.0.0.1')}:{self.port}",
            "key_file": "/etc/prometheus/mlframe.key" if keys else None,
            "prometheus": "http://127.0.0.1:9090",
            "dashboards": "/var/lib/grafana/dashboards",
        }
        write_observing(made / "monitoring", {**observed, **self.alerts})
        return units


def _command(words: Sequence[str]) -> str:
    """Return a command line as systemd reads it."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    text = _escaped(word).replace("$", "$$")
    if re.fullmatch(r"[\w./:=@,+%~\[\]-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    return text.replace("%", "%%")

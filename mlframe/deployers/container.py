"""Writes everything that builds and runs images: of the server with its version, and of the training pipeline that made it."""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlframe.contracts import Deployer, Deployment
from mlframe.deployers.folders import written_whole
from mlframe.deployers.observing import alert_values, megabytes, operate_words, write_observing, writer
from mlframe.deployers.package import requirements
from mlframe.errors import ConfigError

__all__ = ["ContainerDeployer"]

"""File of a folder that this deployer may replace."""

SCORING = ("numpy", "scipy", "scikit-learn", "skops", "polars")
"""Libraries that take part in every score; images get the versions that trained."""


class ContainerDeployer(Deployer):
    """Writes a folder that builds two images; nothing is built or run here.

    Args:
        folder: the folder; None takes `output`, then `container`.
        image: name of the server's image, with a registry in front where there is one; None takes the model's name.
        port: port of the server.
        cpus: processors that a server may use.
        memory: memory that a server may use, such as 1GB.
        train_memory: memory that a training may use.
        replicas: most servers at once (with a team's store).
        schedule: when the training runs, as cron says it.
        store: address of a team's store, whose tables' address is in MLFRAME_STORE_URL; None gives the server a store of
            its own that holds this version.
        wheels: wheel files that the images install, for what no package index has.
        project: more files and folders of the working directory that the training needs; `conf`, `mlframe_project.py` and
            Python files beside it are taken anyway.
        operate: overrides of the process that operates the model, beside those of the training.
        alerts: limits of the rules for alerts: errors (share), latency_ms, silence and stale (spans of time).
    """

    def __init__(
        self,
        folder: str | None = None,
        image: str | None = None,
        port: int = 8080,
        cpus: float = 1.0,
        memory: str = "1GB",
        train_memory: str = "4GB",
        replicas: int = 10,
        schedule: str = "0 3 * * *",
        store: str | None = None,
        wheels: Sequence[str] = (),
        project: Sequence[str] = (),
        operate: Sequence[str] = ("update=triggered",),
        alerts: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.image = image
        self.port = port
        self.cpus = cpus
        self.memory = megabytes(memory, "deployer.memory")
        self.train_memory = megabytes(train_memory, "deployer.train_memory")
        self.replicas = replicas
        self.schedule = schedule
        self.store = store
        self.wheels = [Path(wheel) for wheel in wheels]
        self.project = list(project)
        self.operate = list(operate)
        self.alerts = alert_values(alerts)
        if len(schedule.split()) != 5:
            raise ConfigError(
                "A schedule has five fields: minute, hour, day, month, weekday",
                value=schedule,
                where="deployer.schedule",
                hint='such as "0 3 * * *" for three in the morning',
            )
        for wheel in self.wheels:
            if not wheel.is_file():
                raise ConfigError(
                    "There is no such wheel", value=str(wheel), where="deployer.wheels", hint="check the path"
                )
        if store is not None and "://" not in store:
            raise ConfigError(
                "A team's store is at an address that containers reach too",
                value=store,
                where="deployer.store",
                hint="give an fsspec address such as s3://bucket/team, or null for a store inside",
            )

    def deploy(self, order: Deployment) -> Mapping[str, Any]:
        """Write the folder, whole or not at all."""
        folder = Path(self.folder or order.output or "container").absolute()
        with written_whole(folder, order.reference) as made:
            self._write(made, order)
        values = self._values(order)
        order.say(
            f"docker compose -f {folder}/compose.yaml up --build server; kubectl apply -f {folder}/kubernetes.yaml"
        )
        return {
            "version": order.reference,
            "folder": str(folder),
            "images": [f"{values['image']}:{values['number']}", f"{values['image']}-training:{values['number']}"],
            "undo": f"remove {folder}; docker compose down, kubectl delete -f kubernetes.yaml where it runs",
        }

    def _values(self, order: Deployment) -> dict[str, Any]:
        """Return what the templates say."""
        manifest = json.loads((order.bundle / "manifest.json").read_text(encoding="utf-8"))
        slug = re.sub(r"[^a-z0-9]+", "-", order.name.lower()).strip("-")
        command = list(order.command)
        if self.store is not None:
            command += [f"store.root={self.store}", "store.url=${oc.env:MLFRAME_STORE_URL}"]
        return {
            "name": order.name,
            "number": order.reference.rpartition("/")[2],
            "reference": order.reference,
            "run_id": manifest["run_id"],
            "slug": slug,
            "image": self.image or slug,
            "python": ".".join(platform.python_version_tuple()[:2]),
            "port": self.port,
            "cpus": f"{self.cpus:g}",
            "memory_mb": self.memory,
            "train_memory_mb": self.train_memory,
            "replicas": self.replicas,
            "schedule": self.schedule,
            "store": self.store,
            "wheels": [wheel.name for wheel in self.wheels],
            "entry": json.dumps(["python", "-m", "mlframe", *command]),
            "operate": json.dumps(["python", "-m", "mlframe", *operate_words(tuple(command), self.operate)]),
            "target": f"server:{self.port}",
            "key_file": "/run/secrets/mlframe_key",
            "prometheus": "http://prometheus:9090",
            "dashboards": "/var/lib/grafana/dashboards",
            **self.alerts,
            "example": "seed=1",
            "modules": bool(self._modules()),
        }

    def _write(self, folder: Path, order: Deployment) -> None:
        templates = writer()
        values = self._values(order)
        for template, target in (
            ("Dockerfile.serve", "Dockerfile"),
            ("start.sh", "start.sh"),
            ("Dockerfile.train", "train/Dockerfile"),
            ("compose.yaml", "compose.yaml"),
            ("kubernetes.yaml", "kubernetes.yaml"),
        ):
            path = folder / target
            path.parent.mkdir(exist_ok=True)
            path.write_text(templates.get_template(template).render(values), encoding="utf-8")
        write_observing(folder / "monitoring", values)
        shutil.copytree(order.bundle, folder / "bundle")
        for path in (folder / "bundle").rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        environment = json.loads((order.bundle / "environment.json").read_text(encoding="utf-8"))
        packages = environment.get("packages") or {}
        needed = {text.partition(">=")[0]: text.replace(">=", "==") for text in requirements(order.bundle)}
        needed |= {name: f"{name}=={packages[name]}" for name in SCORING if name in packages}
        (folder / "requirements.txt").write_text(_lines(needed.values()), encoding="utf-8")
        plugins = {name: f"{name}=={version}" for name, version in packages.items() if name.startswith("mlframe-")}
        (folder / "train" / "requirements.txt").write_text(_lines({**needed, **plugins}.values()), encoding="utf-8")
        (folder / "serving.json").write_text(json.dumps(self._serving(order), indent=1) + "\n", encoding="utf-8")
        (folder / ".dockerignore").write_text("**/__pycache__\n**/.mlframe\n**/.git\n", encoding="utf-8")
        if self.wheels:
            (folder / "wheels").mkdir()
            for wheel in self.wheels:
                shutil.copy2(wheel, folder / "wheels" / wheel.name)
        self._copy_project(folder / "train" / "project")
        for module in self._modules():
            shutil.copy2(module, folder / module.name)

    def _serving(self, order: Deployment) -> dict[str, Any]:
        """Return the settings of the server, which follows the champion of its store."""
        return {
            "name": order.name,
            "version": f"{order.name}@champion",
            "store": self.store or "/srv/store",
            "host": "0.0.0.0",
            "port": self.port,
            "workers": max(1, round(self.cpus)),
            "auth": "keys",
        }

    def _modules(self) -> list[Path]:
        """Return the project's own modules: a version may be made of classes in them."""
        return sorted(Path.cwd().glob("*.py")) if (Path.cwd() / "mlframe_project.py").is_file() else []

    def _copy_project(self, target: Path) -> None:
        here = Path.cwd()
        target.mkdir(parents=True)
        (target / ".keep").touch()
        for name in ["conf", *(module.name for module in self._modules()), *self.project]:
            source = (here / name).resolve()
            if not source.exists():
                if name == "conf":
                    continue
                raise ConfigError("There is no such file", value=name, where="deployer.project", hint="check the path")
            if not source.is_relative_to(here.resolve()):
                raise ConfigError(
                    "A file of the project lies outside of the working directory",
                    value=name,
                    where="deployer.project",
                    hint="copy it into that directory",
                )
            place = target / source.relative_to(here.resolve())
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__", ".mlframe", ".git"))
            else:
                shutil.copy2(source, place)


def _lines(texts: Any) -> str:
    return "".join(f"{text}\n" for text in sorted(texts))

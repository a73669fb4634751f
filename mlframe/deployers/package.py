"""Writes an installable wheel with the bundle inside."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from mlframe.contracts import Deployer, Deployment
from mlframe.errors import ConfigError

__all__ = ["PackageDeployer", "requirements"]

STAMP = (1980, 1, 1, 0, 0, 0)
"""Equal bundles give equal wheels."""


class PackageDeployer(Deployer):
    """Writes a wheel; where it is installed, `mlframe.load("email").predict(frame)` works without a store.

    The wheel requires mlframe and the libraries that the pipeline is made of, each at least in the version that trained it.
    Binary distribution format: PEP 427.

    Args:
        folder: folder of the wheel; None takes `output`, then `dist`.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def deploy(self, order: Deployment) -> Mapping[str, Any]:
        """Write the wheel, whole or not at all."""
        folder = Path(self.folder or order.output or "dist")
        if folder.exists() and not folder.is_dir():
            raise ConfigError("The wheel's folder is a file", value=str(folder), where="output", hint="name a folder")
        folder.mkdir(parents=True, exist_ok=True)
        module = f"mlframe_model_{re.sub(r'[^a-z0-9]+', '_', order.name.lower())}"
        number = order.reference.rpartition("/")[2]
        files = {
            f"{module}/__init__.py": f'"""The model {order.reference}."""\n'.encode(),
            f"{module}/version.json": json.dumps({"version": order.reference}).encode(),
        }
        for path in sorted(order.bundle.rglob("*")):
            if path.is_file():
                files[f"{module}/bundle/{path.relative_to(order.bundle).as_posix()}"] = path.read_bytes()
        wheel = folder / f"{module}-{number}-py3-none-any.whl"
        partial = wheel.with_suffix(".partial")
        try:
            _write(partial, files, module, number, order)
            os.replace(partial, wheel)
        finally:
            partial.unlink(missing_ok=True)
        order.say(f"pip install {wheel}; then in Python: mlframe.load({order.name!r}).predict(frame)")
        return {"version": order.reference, "wheel": str(wheel), "undo": f"pip uninstall {module.replace('_', '-')}"}


def requirements(bundle: Path) -> list[str]:
    """Return what a process needs to load a bundle, such as `lightgbm>=4.7.0`.

    Args:
        bundle: the bundle's folder.
    """
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    names = metadata.packages_distributions()
    found = {}
    for entry in manifest["plugins"]:
        distribution = names.get(entry["package"], [entry["package"]])[0]
        found[distribution] = f"{distribution}>={entry['version']}"
    return [found[name] for name in sorted(found)]


def _write(path: Path, files: dict[str, bytes], module: str, number: str, order: Deployment) -> None:
    info = f"{module}-{number}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {module.replace('_', '-')}", f"Version: {number}"]
    lines += [f"Summary: The model {order.reference}, for mlframe.load({order.name!r})"]
    lines += [f"Requires-Dist: {text}" for text in requirements(order.bundle)]
    files = files | {
        f"{info}/METADATA": ("\n".join(lines) + "\n").encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: mlframe\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[mlframe.bundles]\n{order.name} = {module}\n".encode(),
    }
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with path.open("wb") as raw:
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                entry = zipfile.ZipInfo(name, STAMP)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        raw.flush()
        os.fsync(raw.fileno())


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

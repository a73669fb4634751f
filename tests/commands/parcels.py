"""Exported versions that were tampered with, as somebody who knows the format would: every digest fits again."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MARKER = "it_ran"
"""File that a bundle's code writes if it is ever run."""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change(path: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def seal(parcel: Path) -> None:
    """Write every digest anew, so that only the content itself can give the tampering away."""
    bundle = parcel / "bundle"
    files = {}
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            name = path.relative_to(bundle).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": digest(path)}
    change(bundle / "manifest.json", files=files)
    seal_record(parcel)


def seal_record(parcel: Path) -> None:
    beside = {path.name: digest(path) for path in (parcel / "beside").iterdir()}
    change(parcel / "version.json", manifest=digest(parcel / "bundle/manifest.json"), beside=beside)


def rezip(path: Path, alter: Callable[[dict[str, bytes]], None], *, method: int = zipfile.ZIP_STORED) -> None:
    """Write a zip file again with other members."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    alter(members)
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)


class Runs:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return open, (MARKER, "w")


def array_that_claims(shape: str) -> bytes:
    """Return an .npy file whose header promises more than it has."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8


def npz_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("data.npy", bytes(300 << 20))
    return buffer.getvalue()


def object_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Runs()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def foreign_type(module: str, name: str, loader: str = "FunctionNode") -> bytes:
    """Return a skops file that holds something by its module and name."""
    arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "__id__": 2, "content": []}
    node = {
        "__class__": name,
        "__module__": module,
        "__loader__": loader,
        "__id__": 1,
        "content": arguments,
        "__reduce__": {"args": arguments},
        "protocol": 2,
        "_skops_version": "0.13",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("schema.json", json.dumps(node))
    return buffer.getvalue()


def pickled() -> bytes:
    return pickle.dumps(Runs())

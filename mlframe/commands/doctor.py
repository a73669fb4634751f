"""Looks at everything a run needs: environment, store, trackers, plugins."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from mlframe.commands.shown import print_table
from mlframe.errors import MlframeError

SUMMARY = "check environment, versions, store, trackers and plugins; says what to do"

LIBRARIES = (
    "hydra-core",
    "omegaconf",
    "pluggy",
    "polars",
    "narwhals",
    "pandera",
    "scikit-learn",
    "lightgbm",
    "skops",
    "SQLAlchemy",
    "fsspec",
    "Jinja2",
    "wandb",
    "rich",
)

LEAST_DISK = 1 << 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print a row a check; exit 1 when one fails."""
    rows = list(checks(arguments.door))
    print_table(
        ("", "check", "finding"),
        [({True: "ok", False: "FAIL", None: "note"}[good], what, text) for good, what, text in rows],
    )
    failed = sum(good is False for good, _, _ in rows)
    print(f"{failed} problem{'s' if failed != 1 else ''} found" if failed else "all is well")
    return 1 if failed else 0


def checks(door: Any) -> Iterator[tuple[bool | None, str, str]]:
    """Give (good, what, finding) for each check."""
    from importlib import metadata

    version = sys.version_info
    yield version >= (3, 11), "Python", f"{platform.python_version()} (3.11 or newer is needed)"
    for name in LIBRARIES:
        try:
            yield True, name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield False, name, f"not installed; pip install {name}"
    yield from store_checks(door)
    yield tracker_check()
    for record in door.plugins.records.values():
        if record.status != "loaded":
            label = f"plugin {record.name} ({record.distribution} {record.version})"
            yield (None if record.status == "blocked" else False), label, record.error or record.status
    for item in door.plugins.registry:
        if item.distribution == "mlframe":
            continue
        for module in sorted({target.partition(":")[0] for target in item.component.targets()}):
            try:
                importlib.import_module(module)
                yield True, f"{item.group}/{item.component.name}", f"imports ({item.origin})"
            except Exception as error:
                yield False, f"{item.group}/{item.component.name}", f"{type(error).__name__}: {error} ({item.origin})"


def store_checks(door: Any) -> Iterator[tuple[bool | None, str, str]]:
    """Open the store and look at its disk."""
    folder = os.environ.get("MLFRAME_HOME") or str(door.folder / ".mlframe")
    try:
        with door.open_store(create=True) as store:
            count = len(store.runs(limit=1_000_000))
            yield True, "store", f"{store.folder}: opens, {count:,} runs, {len(store.versions()):,} versions"
            folder = str(store.folder)
    except MlframeError as error:
        yield False, "store", " ".join(str(error).split())
        return
    free = shutil.disk_usage(folder).free
    yield free > LEAST_DISK, "disk", f"{free / (1 << 30):.1f} GB free for the store"


def tracker_check() -> tuple[bool | None, str, str]:
    """Say whether W&B would run online."""
    if importlib.util.find_spec("wandb") is None:
        return False, "tracker wandb", "not installed; pip install wandb, or trackers=[]"
    mode = os.environ.get("WANDB_MODE")
    if mode:
        return None, "tracker wandb", f"WANDB_MODE={mode}"
    from mlframe.trackers.wandb import find_key

    found = find_key(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    return None, "tracker wandb", "a login is present: runs go online" if found else "no login: runs are kept offline"

"""What a run was made with: code, environment, machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["code_facts", "packages", "run_facts"]

DIFF_LIMIT = 1_000_000
ASK: Any = object()


def run_facts(folder: Path, seed: int, command: list[str], code: Any = ASK) -> dict[str, Any]:
    """Return what a run's record keeps beside its config.

    Args:
        folder: the working directory.
        seed: the run's seed.
        command: the overrides as typed.
        code: what `code_facts` said of the folder; `ASK` asks now.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": seed,
        "code": code_facts(folder) if code is ASK else code,
        "packages": packages(),
        "machine": machine(),
    }


@cache
def packages() -> dict[str, str]:
    """Return every installed distribution and its version."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        described = distribution.metadata  # parsed anew at every access
        found.setdefault(str(described["Name"]), str(described["Version"]))
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


@cache
def machine() -> dict[str, Any]:
    """Return operating system, processor, memory and Python, without names of host or user."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "memory": memory,
        "executable": Path(sys.executable).name,
    }


def code_facts(folder: Path) -> dict[str, Any] | None:
    """Return commit and uncommitted changes of the git checkout around a folder, None outside of one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = _git(folder, "diff", "HEAD") or ""
    untracked = (_git(folder, "ls-files", "--others", "--exclude-standard") or "").splitlines()
    return {
        "commit": commit.strip(),
        "dirty": bool(diff.strip()) or bool(untracked),
        "diff": diff[:DIFF_LIMIT],
        "diff_cut": len(diff) > DIFF_LIMIT,
        "untracked": untracked[:200],
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

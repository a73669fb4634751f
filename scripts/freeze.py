"""Resolve requirements-dev.txt afresh on several Pythons and write the outcome to constraints.txt.

    python scripts/freeze.py python3.11 python3.12 python3.13

Each interpreter gets an empty environment of its own. A version that differs between them gets a marker; the newest
Python's line also holds for later ones.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = re.compile(r"mlframe([-_].*)?|pip")

HEAD = """\
# The versions that the suite was last run with, one line a distribution; `make constraints` writes this file.
# Use it as a constraint (pip install -c constraints.txt mlframe), never as a list of what to install.
"""


def resolve(python: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Install everything newest into an empty environment.

    Args:
        python: the interpreter.
        folder: where the environment is made.

    Returns:
        The interpreter's version, such as 3.12, and the version of each distribution.
    """
    place = folder / Path(python).name
    subprocess.run([python, "-m", "venv", str(place)], check=True)
    pip = [str(place / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "-q", "-r", "requirements-dev.txt"], cwd=ROOT, check=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, text=True).stdout
    found = {normal(item["name"]): item["version"] for item in json.loads(listed) if not OURS.fullmatch(item["name"])}
    number = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([pip[0], "-c", number], check=True, capture_output=True, text=True).stdout.strip()
    return version, found


def normal(name: str) -> str:
    """Spell a distribution's name as package indexes do."""
    return re.sub(r"[-_.]+", "-", name).lower()


def merge(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Turn one table of versions for each Python into constraint lines.

    Args:
        found: Python version, such as 3.12, to distribution to version.

    Returns:
        Lines in the order of the names; a marker only where Pythons differ.
    """
    pythons = sorted(found, key=lambda text: tuple(map(int, text.split("."))))
    lines = []
    for name in sorted({name for table in found.values() for name in table}):
        versions = {python: found[python][name] for python in pythons if name in found[python]}
        if len(set(versions.values())) == 1:
            lines.append(f"{name}=={next(iter(versions.values()))}")
            continue
        # Neighbours with one version share a line: [first, last] of each stretch.
        stretches: list[tuple[str, str, str]] = []
        for python, version in versions.items():
            if stretches and stretches[-1][2] == version:
                stretches[-1] = (stretches[-1][0], python, version)
            else:
                stretches.append((python, python, version))
        for index, (first, last, version) in enumerate(stretches):
            bounds = []
            if index > 0:
                bounds.append(f'python_version >= "{first}"')
            if index < len(stretches) - 1:
                bounds.append(f'python_version <= "{last}"')
            lines.append(f"{name}=={version}; {' and '.join(bounds)}")
    return lines


def main(interpreters: list[str]) -> None:
    """Write constraints.txt."""
    if not interpreters:
        sys.exit("name the interpreters: python scripts/freeze.py python3.11 python3.12 python3.13")
    with tempfile.TemporaryDirectory() as folder:
        found = dict(resolve(python, Path(folder)) for python in interpreters)
    text = HEAD + "".join(f"{line}\n" for line in merge(found))
    (ROOT / "constraints.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

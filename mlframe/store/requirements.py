"""What a bundle needs of the environment: plugins that must be there, and library versions that should be the same."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from mlframe.errors import BundleError

__all__ = ["unlike", "version_of"]


def unlike(manifest: Mapping[str, Any], where: str) -> list[str]:
    """Return a sentence for each library whose version is not the one that the model was made with.

    Args:
        manifest: the bundle's manifest.
        where: the version or folder, for the text of an error.

    Raises:
        BundleError: a plugin or library is not installed; every one is named with its version.
    """
    wanted = {str(item["package"]): str(item["version"]) for item in manifest.get("plugins") or ()}
    found = {package: version_of(package) for package in wanted}
    missing = [package for package, version in found.items() if version is None]
    if missing:
        named = ", ".join(f"{package} {wanted[package]}" for package in missing)
        plugins = " ".join(f"'{package}=={wanted[package]}'" for package in missing if package.startswith("mlframe-"))
        raise BundleError(
            f"The bundle needs what is not installed: {named}",
            where=where,
            hint="install it, if you trust it" + (f": pip install {plugins}" if plugins else ""),
        )
    return [
        f"{package} is {found[package]} here, the model was made with {version}"
        for package, version in wanted.items()
        if found[package] != version
    ]


@cache
def version_of(package: str) -> str | None:
    """Return the version of the distribution that holds a package; None for the standard library."""
    if package in sys.stdlib_module_names:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return next((found.version for found in metadata.distributions() if _holds(found, package)), None)


def _holds(distribution: metadata.Distribution, package: str) -> bool:
    """Whether a distribution installs a package; its list of files is searched as text, parsing all takes too long."""
    declared = distribution.read_text("top_level.txt")
    if declared is not None:
        return package in declared.split()
    files = "\n" + (distribution.read_text("RECORD") or "")
    return f"\n{package}/" in files or f"\n{package}.py," in files

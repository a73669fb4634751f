"""What is known of a version, from the store's tables and from its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlframe.commands.shown import figure_text, print_table, size_text, when
from mlframe.errors import UnknownNameError


def is_version(reference: str) -> bool:
    """Whether a reference names a version, not a run."""
    return "/" in reference or "@" in reference


@dataclass(frozen=True)
class Known:
    """A version with what its bundle says.

    Args:
        version: the registry's record, with its files.
        documents: JSON files of the bundle, by name without ending; an absent one is an empty dictionary.
        history: moves of aliases to it and away from it.
        run: record of the run that made it; None when another store has it.
    """

    version: Mapping[str, Any]
    documents: Mapping[str, Mapping[str, Any]]
    history: list[dict[str, Any]]
    run: Mapping[str, Any] | None

    @property
    def reference(self) -> str:
        """Such as `email/7`."""
        return str(self.version["reference"])

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The bundle's manifest."""
        return self.documents["manifest"]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item["size"] for item in self.version["files"].values())

    def as_run(self) -> dict[str, Any]:
        """Return the run that made it, or what the bundle says of it in the same form."""
        if self.run is not None:
            return dict(self.run)
        facts = {key: self.documents["environment"].get(key) for key in ("packages", "machine")}
        summary = {"figures": self.version["figures"], "metric": self.version["facts"].get("metric")}
        config = dict(self.documents["config"])
        base = {"id": self.version["run_id"], "task": "train", "status": "elsewhere"}
        moment = (self.version["facts"].get("imported") or {}).get("created", self.version["created"])
        return {**base, "name": self.version["name"], "started": moment, "config": config} | {
            "facts": facts,
            "summary": summary,
        }

    def inside(self) -> dict[str, Any]:
        """Return what tells two bundles apart, as flat values."""
        learning, checks = self.manifest.get("learning") or {}, self.documents["verdict"].get("checks") or []
        inputs = {f"input {item['name']}": item.get("kind") for item in self.manifest.get("inputs") or ()}
        needs = {f"needs {item['package']}": item["version"] for item in self.manifest.get("plugins") or ()}
        gate = {f"gate: {check['name']}": _MARKS[check["passed"]] for check in checks}
        data = self.manifest.get("data") or {}
        return {
            "size": size_text(self.size),
            "aliases": ", ".join(self.version["aliases"]) or "-",
            "learns": f"{learning.get('task')} {learning.get('target')}",
            "classes": ", ".join(learning.get("classes") or ()) or "-",
            "rows of data": data.get("rows"),
            "gate": _passed(self),
            **gate,
            **inputs,
            **needs,
        }

    def print(self) -> None:
        """Print everything a person asks of a version."""
        version, facts = self.version, self.version["facts"]
        imported, data = facts.get("imported"), self.manifest.get("data") or {}
        learning = self.manifest.get("learning") or {}
        classes = learning.get("classes") or []
        rows: list[tuple[str, Any]] = [
            ("aliases", ", ".join(f"{version['name']}@{alias}" for alias in version["aliases"]) or "none"),
            ("created", when(version["created"])),
            ("run", version["run_id"] + ("" if self.run is not None else "  (not in this store)")),
        ]
        if imported:
            rows.append(
                (
                    "imported",
                    f"{when(imported['when'])} by {imported['who']}: {imported['reference']} of {imported['from']}",
                )
            )
        rows += [
            (
                "learns",
                f"{learning.get('target')}, {learning.get('task')}{': ' + ', '.join(classes) if classes else ''}",
            ),
            ("inputs", f"{len(self.manifest.get('inputs') or ())} columns"),
            ("data", f"{data.get('rows', '?'):,} rows, key {str(data.get('key'))[:16]}" if data else "unknown"),
            ("decides", f"{facts.get('metric')} {figure_text(version['figures'], facts.get('metric'))}"),
            ("gate", _passed(self)),
        ]
        for check in self.documents["verdict"].get("checks") or ():
            rows.append((f"  {check['name']}", f"{_MARKS[check['passed']]}: {check['evidence']}"))
        fast = self.manifest.get("fast")
        if fast:
            said = (
                f"yes, largest difference {fast.get('difference')}" if fast.get("proven") else f"no: {fast.get('why')}"
            )
            rows.append(("fast path", said))
        machine = self.documents["environment"].get("machine") or {}
        rows.append(("made on", f"{machine.get('system')}, Python {machine.get('python')}"))
        print_table(("", ""), rows, title=f"version {self.reference}")
        self._print_figures()
        self._print_needs()
        files = sorted(version["files"].items())
        print_table(
            ("file", "size", "sha256"),
            [
                *((file, size_text(item["size"]), item["sha256"][:16]) for file, item in files),
                ("all", size_text(self.size), ""),
            ],
            title="files",
        )
        if self.history:
            moves = [
                (when(m["when"]), m["who"], m["action"], m["alias"], m["from"], m["to"], m["why"]) for m in self.history
            ]
            print_table(("when", "who", "action", "alias", "from", "to", "why"), moves, title="history")

    def _print_figures(self) -> None:
        from mlframe.runner.display import interval_text

        figures = self.version["figures"]
        parts = [part for part in ("folds", "holdout") if figures.get(part)]
        if not parts:
            return
        names = sorted({name for part in parts for name in figures[part]})
        rows = [
            (name, *(interval_text(figures[part][name]) if name in figures[part] else "" for part in parts))
            for name in names
        ]
        print_table(("figure", *parts), rows, title="figures")

    def _print_needs(self) -> None:
        from mlframe.store.requirements import version_of

        rows = []
        for item in self.manifest.get("plugins") or ():
            here = version_of(str(item["package"]))
            note = "NOT INSTALLED" if here is None else "" if here == item["version"] else "differs"
            rows.append((item["package"], item["version"], here, note))
        if rows:
            print_table(("needs", "made with", "here", ""), rows, title="environment")


_MARKS = {True: "met", False: "NOT met", None: "not judged"}


def _passed(known: Known) -> str:
    return {True: "yes", False: "no", None: "not asked"}[known.version["facts"].get("passed")]


def know(store: Any, reference: str) -> Known:
    """Return what is known of a version; its digests are checked first.

    Raises:
        UnknownNameError: there is no such version.
        BundleError: a file is missing or changed.
    """
    from mlframe.store.bundle import read_json

    version = store.version(reference)
    name = version["reference"]
    folder = store.open_bundle(name)
    files = {key: folder / f"{key}.json" for key in ("manifest", "config", "environment", "verdict")}
    documents = {key: read_json(path) if path.exists() else {} for key, path in files.items()}
    history = [move for move in store.history(version["name"]) if name in (move["from"], move["to"])]
    try:
        run = store.run(version["run_id"])
    except UnknownNameError:
        run = None
    return Known(version, documents, history, run)

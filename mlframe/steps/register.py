"""Builds the bundle, gives it a version, and says how to promote it."""

from __future__ import annotations

import getpass
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import Step
from mlframe.errors import MovedError
from mlframe.operating.standard import standard_tests
from mlframe.pipeline import Learning, Pipeline
from mlframe.pipeline.scorer import prove, told
from mlframe.steps.baseline import SAMPLE, write_baseline, write_sample
from mlframe.steps.learned import LEARNED_ROWS, label_columns, label_digests, learned_rows, not_learned, write_learned
from mlframe.steps.records import figures_by_part
from mlframe.steps.split import unpack
from mlframe.table import Table

CHALLENGER = "challenger"
"""Alias of a version that is tried beside the champion."""
EXAMPLES = 200
TRAINED_ROWS = "trained_rows.npy"
STRICTER: Mapping[str, Callable[[Any, Any], Any]] = {
    "nullable": lambda one, other: one and other,
    "allowed": lambda one, other: [value for value in one if value in other],
    "forbidden": lambda one, other: [*one, *(value for value in other if value not in one)],
    "pattern": lambda one, other: other,
    **dict.fromkeys(("min", "above", "min_length"), max),
    **dict.fromkeys(("max", "below", "max_length"), min),
}
"""Of two validators' rules, the one that holds (of two patterns the later)."""


class Register(Step):
    """Gives `version`: the name that the registry gave the bundle."""

    summary = "gives the bundle a version"
    reads = ("name", "level", "validators", "seed")
    needs = ("pipeline", "labelled", "labels", "learning", "split", "oof", "scores", "holdout", "evaluation", "verdict")
    needs_if_present = ("verification",)
    gives = {"version": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Write the bundle's files and register them."""
        name, verdict = context.config["name"], inputs["verdict"]
        measured = figures_by_part(inputs["scores"], inputs["evaluation"])
        figures = {part: {key: asdict(found) for key, found in items.items()} for part, items in measured.items()}
        facts = {"passed": verdict["passed"], "metric": inputs["scores"]["metric"], "data": context.keys["rows"]}
        with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
            bundle, trained, sample = Path(folder, "bundle"), Path(folder, TRAINED_ROWS), Path(folder, SAMPLE)
            learned = Path(folder, LEARNED_ROWS)
            bundle.mkdir()
            write_bundle(bundle, context, figures, **inputs)
            write_trained_rows(trained, known_rows(context), **inputs)
            beside = {TRAINED_ROWS: trained, SAMPLE: sample}
            if write_learned_rows(learned, context, **inputs):
                beside[LEARNED_ROWS] = learned
            development = inputs["labelled"].take(unpack(inputs["split"]).development)
            write_sample(sample, development, inputs["pipeline"].columns, int(context.config["seed"]))
            version = context.store.register(
                name,
                bundle,
                run_id=context.run.id,
                figures=figures,
                facts=facts,
                beside=beside,
            )
        context.summary["version"] = version
        context.say(f"fast path: {context.summary['fast']}")
        level = context.config.get("level") or {}
        if not verdict["passed"]:
            context.say(f"{version}: the gate says no, it is not for promotion")
        elif level.get("promote", "person") == "person" or not self._tested(context, version):
            context.summary["promote"] = f"python -m mlframe promote {version}"
        else:
            self._promote(context, version, verdict)
        for tracker in context.trackers:
            tracker.bundle(version, context.store.open_bundle(version))
        return {"version": version}

    def _tested(self, context: Any, version: str) -> bool:
        """Run the tests that the level asks of a version before it is promoted; each failure is told."""
        asked = (context.config["level"] or {}).get("tests", "none")
        if asked == "none":
            return True
        report = standard_tests(
            version,
            store_root=context.store.root,
            store_url=context.store.url,
            endpoint="start" if asked == "staged" else None,
        )
        context.summary["tests"] = report.record()
        context.say(report.text)
        if not report.passed:
            context.say(f"{version} is not promoted: the standard tests say no")
        return report.passed

    def _promote(self, context: Any, version: str, verdict: Mapping[str, Any]) -> None:
        """Make the version the champion, unless the one that the gate has asked is gone; or the challenger."""
        level, champion = context.config["level"], verdict["champion"]
        evidence = {"run": context.run.id, "checks": verdict["checks"], "tests": context.summary.get("tests")}
        why = f"passed the gate at level {level['name']}"
        if level["promote"] == "challenger":
            name = version.rpartition("/")[0]
            context.store.promote(version, alias=CHALLENGER, who="gate", why=why, evidence=evidence)
            context.summary["promote"] = f"python -m mlframe promote {version}"
            beside = f"; try it in the shadow: deployer.shadow={CHALLENGER}" if champion is not None else ""
            context.say(f"{version} is {name}@{CHALLENGER} now{beside}")
            return
        try:
            context.store.promote(version, who="gate", why=why, evidence=evidence, expected=champion)
        except MovedError as error:
            context.say(f"not promoted: {error.what}; the gate has not compared {version} with that")
            context.summary["promote"] = f"python -m mlframe promote {version}"
            return
        context.summary["promoted"] = version
        context.say(f"{version} is the champion now")


def known_rows(context: Any) -> Any:
    """Return the digests of the rows that a model had learned before it learned on (`fit.warm`), None for a new one."""
    warm = context.config["fit"]["warm"]
    if not warm:
        return None
    path = context.store.beside(warm).get(TRAINED_ROWS)
    return None if path is None else np.load(path, allow_pickle=False)


def write_trained_rows(path: Path, known: Any = None, **inputs: Any) -> None:
    """Write a digest of each development row, by which the gate tells rows that a champion has learned from.

    No prediction needs it, its size is that of the data, and it tells whoever has it whether a given row was among the
    data: it is kept beside the bundle and goes where versions go, never to a server.
    """
    table: Table = inputs["labelled"]
    rows = table.frame[unpack(inputs["split"]).development]
    digests = row_digests(rows, inputs["pipeline"].inputs)
    np.save(path, digests if known is None else np.union1d(known, digests), allow_pickle=False)


def write_learned_rows(path: Path, context: Any, **inputs: Any) -> bool:
    """Write a digest of each label that was learned, by which a model that learns on tells what is news.

    Returns:
        False where the model learned on from one of which that is not known: then it is not of this one either.
    """
    table: Table = inputs["labelled"]
    rows = table.frame[unpack(inputs["split"]).development]
    columns = label_columns(table, inputs["pipeline"].inputs)
    digests = label_digests(rows, columns)
    warm = context.config["fit"]["warm"]
    if warm:
        known = learned_rows(context.store, warm, columns)
        if known is None:
            return False
        digests = np.concatenate([known, digests[not_learned(digests, known)]])
    write_learned(path, digests, columns)
    return True


def write_bundle(folder: Path, context: Any, figures: Mapping[str, Any], **inputs: Any) -> None:
    """Write everything that is deployed: pipeline, input schema, config, baseline, examples, manifest."""
    from mlframe.runner.keys import digest
    from mlframe.store.bundle import write_manifest

    pipeline: Pipeline = inputs["pipeline"]
    learning = Learning.from_record(inputs["learning"])
    table: Table = inputs["labelled"]
    cut = unpack(inputs["split"])
    (folder / "pipeline").mkdir()
    pipeline.save(folder / "pipeline")
    development = table.take(cut.development)
    _json(folder / "config.json", context.unresolved)
    _json(folder / "environment.json", {key: context.run.facts.get(key) for key in ("packages", "machine")})
    _json(folder / "figures.json", figures)
    _json(folder / "verdict.json", inputs["verdict"])
    write_baseline(folder, development, pipeline, inputs["holdout"], inputs["oof"], int(context.config["seed"]))
    _json(folder / "schema.json", {"rules": rules(context, pipeline.inputs)})
    examples(folder, table, inputs["holdout"], cut.holdout, pipeline)
    fast = prove(pipeline, *(pl.read_ipc(folder / name) for name in ("examples.arrow", "expected.arrow")))
    context.summary["fast"] = told(fast)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    write_manifest(
        folder,
        name=context.config["name"],
        run_id=context.run.id,
        files=files,
        extra={
            "learning": learning.record(),
            "inputs": pipeline.columns,
            "data": {"key": context.keys["rows"], "rows": len(table), "config": digest(context.config["data"])},
            "plugins": _plugins(context, pipeline),
            "fast": fast,
        },
    )


def examples(folder: Path, table: Table, holdout: pl.DataFrame, rows: Any, pipeline: Pipeline) -> None:
    """Write up to 200 holdout rows and what the pipeline says of them: the proof that a copy predicts the same.

    Their truth lies beside them, for the standard tests of groups of rows.
    """
    chosen = (
        np.linspace(0, len(rows) - 1, min(EXAMPLES, len(rows))).astype(int) if len(rows) else np.zeros(0, dtype=int)
    )
    table.frame[rows[chosen]].select(pipeline.inputs).write_ipc(folder / "examples.arrow")
    expected = [name for name in holdout.columns if name == "y_pred" or name.startswith("p_")]
    holdout[chosen].select(expected).write_ipc(folder / "expected.arrow")
    holdout[chosen].select("y").write_ipc(folder / "truth.arrow")


def rules(context: Any, inputs: list[str]) -> dict[str, dict[str, Any]]:
    """Return what the validators ask of the input columns' values; of several validators the strictest word counts."""
    found: dict[str, dict[str, Any]] = {}
    for _, validator in context.components("validators"):
        for name, given in validator.rules().items():
            if name not in inputs:
                continue
            rule = found.setdefault(name, {})
            for word, value in given.items():
                rule[word] = STRICTER[word](rule[word], value) if word in rule else value
    return found


def row_digests(frame: pl.DataFrame, columns: list[str]) -> Any:
    """Return one uint64 a row that tells rows with other contents apart (sorted columns, fixed seed)."""
    return frame.select(sorted(columns)).hash_rows(seed=0).to_numpy()


def who() -> str:
    """Return the name of the user for the alias log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _plugins(context: Any, pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return the distributions that a serving process must have, with versions."""
    from mlframe.store.requirements import version_of

    registry = context.plugins.registry
    items = [registry.get("model", model) for model in sorted({member.model for member in pipeline.members})]
    items.append(registry.get("featurizer", str(context.config["featurizer"]["name"])))
    found = {}
    for item in items:
        for target in item.component.targets():
            package = target.partition(".")[0].partition(":")[0]
            found[package] = version_of(package)
        if item.distribution:
            found[item.distribution] = item.version
    parts = [part for member in pipeline.members for part in (member.estimator, member.featurizer) if part is not None]
    found |= {name: version_of(name) for name in {type(part).__module__.partition(".")[0] for part in parts}}
    return [{"package": name, "version": version} for name, version in sorted(found.items()) if version]


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, default=str), encoding="utf-8")

"""Scores a file of rows; rows that the schema refuses are refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import Step
from mlframe.errors import ConfigError, DataError
from mlframe.pipeline import Pipeline
from mlframe.pipeline.inputs import conform, restore
from mlframe.steps.ingest import number_rows
from mlframe.steps.verify import refuse
from mlframe.table import ROW, Table, columns_from_records, to_polars

FORMATS = {
    ".csv": "csv",
    ".gz": "csv",
    ".zst": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}

COMPRESSED = (".gz", ".zst")


class Predict(Step):
    """Gives `scored`: how many rows went where."""

    summary = "scores a file of rows"
    reads = ("input", "output", "explain", "data.source", "validators")
    needs = ("served",)
    gives = {"scored": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Read, check, predict, write."""
        served = inputs["served"]
        pipeline: Pipeline = served["pipeline"]
        source, target = self._paths(context)
        frame = number_rows(to_polars(read_file(context, source)))
        columns = [*pipeline.columns, *other_times(context, frame, pipeline)]
        table = Table(conform(frame, columns, f"input={source}"), columns_from_records(pipeline.columns))
        for key, validator in context.components("validators"):
            refuse(validator.validate(table, labelled=False), key, table, always=True)
        context.say(f"{len(table):,} rows pass the checks")
        scored = pipeline.predict(table.frame)
        if context.config.get("explain"):
            scored = scored.with_columns(reasons(pipeline, table.frame, context.config["explain"]))
        kept = [name for name in frame.columns if name != ROW]
        clash = [name for name in scored.columns if name in kept]
        if clash:
            raise DataError(
                f"The input already has the columns {', '.join(clash)}, which the predictions would replace",
                where=f"input={source}",
                hint="rename them in the input",
            )
        whole = pl.concat([frame.select(kept), restore(scored, pipeline.learning)], how="horizontal")
        write_file(whole.with_columns(pl.lit(served["version"]).alias("model_version")), target)
        context.summary["scored"] = {"rows": len(table), "output": str(target)}
        context.say(f"{len(table):,} predictions in {target}")
        return {"scored": {"rows": len(table), "output": str(target)}}

    @staticmethod
    def _paths(context: Any) -> tuple[str, Path]:
        source, target = context.config["input"], context.config["output"]
        for key, value in (("input", source), ("output", target)):
            if not value:
                raise ConfigError(f"predict needs {key}", where=key, hint=f"give {key}=FILE (csv, parquet or json)")
        if "://" not in str(source) and Path(source).resolve() == Path(target).resolve():
            raise ConfigError(
                "input and output are one file", value=str(target), where="output", hint="name another output"
            )
        file_format(str(target), "output")
        if Path(target).suffix.lower() in COMPRESSED:
            hint = "use .csv or .parquet"
            raise ConfigError("Predictions are written uncompressed", value=str(target), where="output", hint=hint)
        folder = Path(target).resolve().parent
        if not folder.is_dir():
            raise ConfigError(
                "The output's folder is not there", value=str(folder), where="output", hint="make it first"
            )
        return str(source), Path(target)


def reasons(pipeline: Pipeline, frame: pl.DataFrame, count: int) -> pl.Series:
    """Return for each row the input columns that move its score most, as text: `tenure: -0.81; contract: +0.40`.

    Raises:
        ConfigError: a model of the pipeline cannot tell.
    """
    found = pipeline.contributions(frame)
    if found is None:
        models = ", ".join(sorted({member.model for member in pipeline.members}))
        rules = {"samme": "boosted votes", "median": "a median", "vote": "votes", "stack": "a stack"}
        how = rules.get(getattr(pipeline.root, "rule", "mean"))
        raise ConfigError(
            f"Predictions of this version cannot be explained: it is {f'{how} of' if how else 'made of'} {models}",
            value=count,
            where="explain",
            hint="lgbm, linear and means of these can; leave explain out, or train such a model",
        )
    parts, names = found
    order = np.argsort(-np.abs(parts[:, :-1]), axis=1, kind="stable")[:, :count]
    texts = (
        "; ".join(f"{names[column]}: {row[column]:+.3g}" for column in best if row[column])
        for row, best in zip(parts, order, strict=True)
    )
    return pl.Series("why", list(texts), dtype=pl.String)


def file_format(path: str, key: str) -> str:
    """Return the source component for a file's ending.

    Raises:
        ConfigError: no component reads that ending.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(
            f"{key} has the ending {suffix!r}, which is no format that is known here",
            value=path,
            where=key,
            hint=f"use one of {', '.join(ending for ending in FORMATS if key == 'input' or ending not in COMPRESSED)}",
        )
    return FORMATS[suffix]


def read_file(context: Any, path: str) -> Any:
    """Read a file with the source for its ending; options of `data.source` are kept when it is the same component."""
    name = file_format(path, "input")
    configured = (context.config.get("data") or {}).get("source") or {}
    options = dict(configured) if configured.get("name") == name else {}
    # Every row of the input is scored, and the input need not hold the target.
    options.pop("deduplicate", None)
    if Path(path).suffix.lower() == ".tsv":
        options["separator"] = "\t"
    absent = {
        column
        for column, spec in ((context.config.get("data") or {}).get("columns") or {}).items()
        if (spec or {}).get("role") in ("target", "weight")
    }
    for key in ("types", "times"):
        if options.get(key):
            options[key] = {column: value for column, value in options[key].items() if column not in absent}
    if options.get("columns"):
        options["columns"] = [column for column in options["columns"] if column not in absent]
    try:
        return context.plugins.registry.create("data/source", {**options, "name": name, "path": path}).read()
    except DataError as error:  # the source knows the file as data.source.path, the user as input
        raise (error.at("input") if error.where == "data.source.path" else error) from error.__cause__


def other_times(context: Any, frame: pl.DataFrame, pipeline: Pipeline) -> list[dict[str, str]]:
    """Give the declared times in the input that no model reads, such as the time that orders rows; the schema does."""
    declared = (context.config.get("data") or {}).get("columns") or {}
    known = {column["name"] for column in pipeline.columns}
    times = [name for name, spec in declared.items() if (spec or {}).get("kind") == "datetime" and name not in known]
    text = [name for name in times if name in frame.columns and frame[name].dtype == pl.String]
    return [{"name": name, "dtype": "Datetime"} for name in text]


def write_file(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame by the ending of its path, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    kind = file_format(str(path), "output")
    suffix = path.suffix.lower()
    try:
        if kind == "parquet":
            frame.write_parquet(partial)
        elif kind == "csv":
            frame.write_csv(partial, separator="\t" if suffix == ".tsv" else ",")
        elif suffix == ".json":
            frame.write_json(partial)
        else:
            frame.write_ndjson(partial)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"The predictions cannot be written: {error}",
            value=str(path),
            where="output",
            hint="name a file in a folder that exists and may be written",
        ) from error

"""Checks the rows, and keeps, drops or sets aside those that fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from mlframe.contracts import Step, Validation
from mlframe.errors import DataError
from mlframe.table import ROW, Table

SHOWN = 20
FEW = 5


class Verify(Step):
    """Gives `verified`: the rows that every validator lets through."""

    summary = "checks the rows"
    reads = ("validators",)
    needs = ("rows",)
    gives = {"verified": "table", "verification": "json", "quarantine": "frame"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Run each validator on what the one before let through."""
        table: Table = inputs["rows"]
        record: dict[str, Any] = {"rows": len(table), "validators": {}}
        set_aside: list[pl.DataFrame] = []
        for key, validator in context.components("validators"):
            found = validator.validate(table, labelled=True)
            refuse(found, key, table)
            bad = found.failures["row"].drop_nulls().unique()
            record["validators"][key] = {
                "failures": found.failures.height,
                "rows": len(bad),
                "policy": found.policy,
                "examples": found.failures.head(SHOWN).to_dicts(),
            }
            if len(bad) == 0:
                continue
            if found.policy == "quarantine":
                set_aside.append(with_reasons(table, found, key))
            table = table.with_frame(table.frame.filter(~pl.col(ROW).is_in(bad.implode())))
            context.say(f"{key}: {len(bad):,} rows fail {found.failures.height:,} checks, {found.policy}")
            if len(table) == 0:
                raise DataError(
                    f"No row passes the validator {key!r}: {found.failures.height:,} checks fail, the first are\n    "
                    + "\n    ".join(_lines(found.failures.head(FEW))),
                    where=f"validators.{key}",
                    hint="mend the schema in data.schema, or the data",
                )
        record["kept"] = len(table)
        context.summary["verification"] = {
            key: {"rows": entry["rows"], "policy": entry["policy"]} for key, entry in record["validators"].items()
        }
        quarantine = pl.concat(set_aside, how="diagonal_relaxed") if set_aside else pl.DataFrame()
        if set_aside:
            path = context.run.folder / "quarantine.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            quarantine.write_parquet(path)
            context.say(f"{quarantine.height:,} rows set aside in {path}")
        return {"verified": table, "verification": record, "quarantine": quarantine}


def refuse(found: Validation, key: str, table: Table, *, always: bool = False) -> None:
    """Raise when a validator's policy, or a failure of a whole column, stops the run.

    Raises:
        DataError: shows the first failures with row, column, check and value.
    """
    failures = found.failures
    if failures.height == 0:
        return
    whole = failures.filter(pl.col("row").is_null())
    if found.policy != "fail" and whole.height == 0 and not always:
        return
    shown = whole if whole.height else failures
    lines = _lines(shown.head(SHOWN))
    rows = failures["row"].drop_nulls().n_unique()
    more = f"\n    … and {shown.height - SHOWN:,} more" if shown.height > SHOWN else ""
    raise DataError(
        f"The data fails {failures.height:,} checks of the validator {key!r} ({rows:,} of {len(table):,} rows):\n    "
        + "\n    ".join(lines)
        + more,
        where=f"validators.{key}",
        hint="mend the data or the schema"
        + (
            "" if whole.height or always else f"; validators.{key}.policy=drop or quarantine goes on without these rows"
        ),
    )


def _lines(failures: pl.DataFrame) -> list[str]:
    return [
        f"{'' if item['row'] is None else 'row ' + str(item['row']) + ', '}column {item['column']}: "
        f"{item['check']} fails for {item['value']}"
        for item in failures.to_dicts()
    ]


def with_reasons(table: Table, found: Validation, key: str) -> pl.DataFrame:
    """Return the failing rows with a column `reason`."""
    reasons = (
        found.failures.drop_nulls("row")
        .with_columns(pl.format("{} {}: {}", "column", "check", "value").alias("reason"))
        .group_by("row", maintain_order=True)
        .agg(pl.col("reason").str.join("; "))
    )
    joined = table.frame.join(reasons, left_on=ROW, right_on="row", how="inner", maintain_order="left")
    return joined.rename({ROW: "row"}).with_columns(pl.lit(key).alias("validator"))

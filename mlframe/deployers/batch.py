"""Scores files or tables of any size, part by part, each row exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mlframe.contracts import Deployer, Deployment
from mlframe.deployers.outputs import output_of
from mlframe.deployers.parts import Part, rows_of
from mlframe.errors import ConfigError, DataError, UnknownNameError
from mlframe.table import ROW

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BatchDeployer"]


class BatchDeployer(Deployer):
    """Scores `input` into `output` in bounded memory; a run that was stopped goes on where it was.

    The next part is read, and the last one written, while one is scored. What is in memory is three parts. The same rows
    always fall into the same part, and a part is kept whole or not at all, so every row is scored exactly once.

    Args:
        rows: rows of a part.
        keep: columns of the input that stand beside their predictions; None for all.
        query: a table or a SELECT, when `input` is a database address.
        key: the column that orders those rows and never repeats.
        table: where predictions go, when `output` is a database address.
    """

    def __init__(
        self,
        rows: int = 100_000,
        keep: Sequence[str] | None = None,
        query: str | None = None,
        key: str | None = None,
        table: str | None = None,
    ) -> None:
        if rows < 1:
            raise ConfigError("A part needs a row", value=rows, where="deployer.rows", hint="set it to 1 or more")
        self.rows = rows
        self.keep = None if keep is None else list(keep)
        self.query = query
        self.key = key
        self.table = table
        self._output: Any = None

    def deploy(self, order: Deployment) -> Mapping[str, Any]:
        """Score everything that is not scored yet."""
        for name, value in (("input", order.input), ("output", order.output)):
            if not value:
                hint = f"give {name}=" + ("FILE, a glob, or a database address" if name == "input" else "FOLDER")
                raise ConfigError(f"deployer=batch needs {name}", where=name, hint=hint)
        pipeline = order.pipeline()
        rows = rows_of(str(order.input), self.query, self.key, pipeline.columns)
        output = output_of(str(order.output), self.table)
        identity = {
            "model": order.name,
            "version": order.reference,
            "input": rows.where,
            "fingerprint": rows.fingerprint(),
            "rows_of_a_part": self.rows,
            "keep": self.keep,
        }
        done = output.begin(identity)
        if done.finished:
            order.say(f"all {done.rows:,} rows were scored before; nothing is left to do")
            return self._facts(order, output.where, done.rows, 0)
        if done.rows:
            order.say(f"goes on after {done.rows:,} rows")
        scored = self._run(
            pipeline, rows.parts(self.rows, done.rows, done.last_key), output, rows.where, order.reference
        )
        if not done.rows + scored:
            raise DataError("The input has no rows", value=rows.where, where="input", hint="look at the file or query")
        output.finish()
        order.say(f"{scored:,} rows scored, {done.rows + scored:,} in {output.where}")
        return self._facts(order, output.where, done.rows + scored, scored)

    def _run(self, pipeline: Any, parts: Any, output: Any, where: str, version: str) -> int:
        """Read, score and write, each in a thread of its own; return how many rows."""
        scored = 0
        with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
            following: Future[Part | None] = reading.submit(next, parts, None)
            written: Future[None] | None = None
            while (part := following.result()) is not None:
                following = reading.submit(next, parts, None)
                answer = self._score(pipeline, part, where, version)
                if written is not None:
                    written.result()
                written = writing.submit(output.write, part, answer)
                scored += len(answer)
            if written is not None:
                written.result()
        return scored

    def _score(self, pipeline: Any, part: Part, where: str, version: str) -> pl.DataFrame:
        import polars as pl

        columns = [name for name in part.frame.columns if name != ROW]
        kept = columns if self.keep is None else self.keep
        for name in kept:
            if name not in columns:
                raise UnknownNameError.from_name("column", name, columns, where="deployer.keep")
        scored: pl.DataFrame = pipeline.score(part.frame, where).with_columns(pl.lit(version).alias("model_version"))
        clash = [name for name in scored.columns if name in kept]
        if clash:
            raise DataError(
                f"The input already has the columns {', '.join(clash)}, which the predictions would replace",
                where=f"input={where}",
                hint="leave them out with deployer.keep, or rename them in the input",
            )
        return pl.concat([part.frame.select(kept), scored], how="horizontal")

    def _facts(self, order: Deployment, where: str, rows: int, now: int) -> dict[str, Any]:
        return {
            "version": order.reference,
            "output": where,
            "rows": rows,
            "rows_now": now,
            "undo": f"remove {where}",
        }

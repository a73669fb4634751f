"""A workspace with a champion, and a prediction log whose rows, times and labels a test decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from mlframe.store.segments import layout_of
from mlframe.store.store import Store
from mlframe.testing.plugin import CliResult

DATA = ("data=csv", "data.source.path=rows.csv", "data.columns.label.role=target", "name=made")
PLAIN = ("monitors=[quality,service]",)
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


def day(number: int, hour: float = 12) -> datetime:
    """Return a moment so many days ago."""
    return MIDNIGHT - number * DAY + timedelta(hours=hour)


@dataclass
class Monitored:
    """The working directory, and the command line in it."""

    run_cli: Callable[..., CliResult]
    folder: Path
    pool: pl.DataFrame
    written: int = 0
    ids: list[str] = field(default_factory=list)

    def monitor(self, *words: str, code: int = 0) -> CliResult:
        """Monitor with two monitors, unless the words say others."""
        done = self.run_cli("monitor", *DATA, *PLAIN, *words)
        assert done.code == code, done.out + done.err
        assert "Traceback" not in done.out + done.err
        return done

    def store(self) -> Store:
        return Store.open(str(self.folder / ".mlframe"), create=False)

    def windows(self, source: str = "log") -> list[dict[str, Any]]:
        with self.store() as store:
            return store.windows.many("made", source=source)

    def alarms(self, *status: str, source: str = "log") -> list[dict[str, Any]]:
        """Return alarms, the oldest first; those that live unless others are named."""
        with self.store() as store:
            return store.alarms.many("made", source=source, status=status or ("open", "acknowledged"))[::-1]

    def alarm_keys(self) -> list[str]:
        return [alarm["key"] for alarm in self.alarms()]

    def predict(
        self,
        moment: datetime,
        rows: int = 60,
        *,
        change: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
        version: str = "made/1",
        role: str = "champion",
        latency: float = 2.0,
    ) -> list[str]:
        """Log predictions, a second apart from a moment on, and return their ids."""
        at = [(self.written + number) % len(self.pool) for number in range(rows)]
        frame = self.pool[at]
        if change is not None:
            frame = change(frame)
        ids = [f"id-{self.written + number}" for number in range(rows)]
        micro = pl.Datetime("us", "UTC")
        head = pl.DataFrame(
            {
                "request_id": ids,
                "row": pl.Series([0] * rows, dtype=pl.UInt32),
                "time": pl.Series([moment + timedelta(seconds=number) for number in range(rows)], dtype=micro),
                "version": [version] * rows,
                "role": [role] * rows,
                "caller": pl.Series([None] * rows, dtype=pl.String),
                "latency_ms": pl.Series([latency * (1 + number % 10 / 10) for number in range(rows)], dtype=pl.Float32),
            }
        )
        self._write("predictions", head.hstack(frame))
        self.written += rows
        self.ids += ids
        return ids

    def tell(self, ids: Sequence[str], moment: datetime, label: str = "yes") -> None:
        """Log feedback."""
        micro, count = pl.Datetime("us", "UTC"), len(ids)
        self._write(
            "feedback",
            pl.DataFrame(
                {
                    "request_id": list(ids),
                    "row": pl.Series([0] * count, dtype=pl.UInt32),
                    "time": pl.Series([moment] * count, dtype=micro),
                    "label": [label] * count,
                    "outcome": pl.Series([None] * count, dtype=pl.String),
                    "caller": pl.Series([None] * count, dtype=pl.String),
                }
            ),
        )

    def fail(self, moment: datetime, status: int, requests: int) -> None:
        """Log requests that got no prediction."""
        head = {
            "time": pl.Series([moment], dtype=pl.Datetime("us", "UTC")),
            "version": ["made/1"],
            "route": ["predict"],
        }
        counted = {"status": pl.Series([status], dtype=pl.UInt16), "requests": pl.Series([requests], dtype=pl.UInt32)}
        self._write("failures", pl.DataFrame({**head, **counted}))

    def _write(self, kind: str, frame: pl.DataFrame) -> None:
        for (date,), part in frame.group_by(pl.col("time").dt.date().alias("day"), maintain_order=True):
            place = self.folder / ".mlframe" / kind / "made" / str(date)
            place.mkdir(parents=True, exist_ok=True)
            count = len(list(place.iterdir()))
            stem = f"{part['time'][0]:%Y-%m-%dT%H%M%S}-test-{layout_of(part)}-{count:08x}"
            part.write_parquet(place / f"{stem}.parquet")


def lines(file: Path) -> list[dict[str, Any]]:
    """Return what the notifier `log` has written."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

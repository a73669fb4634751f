"""The end of a multirun: leaderboard, the closing run of the winner or of the ensemble, and a record for the trackers."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import ConfigError, MlframeError

if TYPE_CHECKING:
    from mlframe.config.types import Composed
    from mlframe.door import Door
    from mlframe.sweep.leaderboard import Board, Row
    from mlframe.sweep.plan import SweepPlan

__all__ = ["conclude"]

log = logging.getLogger("mlframe")


def conclude(door: Door, store: Any, sweep: str, plan: SweepPlan) -> int:
    """Train the winner for good where the sweep says so, then show the leaderboard here, as a page and to the trackers.

    Returns:
        0 when every job came through, else 1.
    """
    from mlframe.sweep.leaderboard import build
    from mlframe.sweep.shown import charts, render_html, render_text

    jobs = store.sweep_jobs(sweep)
    board = build(store.sweep(sweep), jobs)
    refused = 0
    stopped = plan.settings["fail_fast"] and bool(board.failed)  # nobody has seen what would have come
    if board.rows and not stopped and (plan.settings["close"] or plan.settings["ensemble"] != "none"):
        try:
            refused = close(door, store, sweep, plan, board)
        except MlframeError as error:
            store.update_sweep(sweep, "failed", closing={"error": str(error)})
            print(render_text(board))
            raise
    store.update_sweep(sweep, "failed" if stopped else "finished")
    board = build(store.sweep(sweep), jobs)
    pictures = charts(board) if board.rows else []
    page = Path(store.folder) / "sweeps" / sweep / "leaderboard.html"
    if board.rows:
        page.parent.mkdir(parents=True, exist_ok=True)
        fresh = page.with_suffix(".new")  # a reader never meets half a page
        fresh.write_text(render_html(board, pictures), encoding="utf-8")
        fresh.replace(page)
        record(door, store, plan, board, pictures)
    if board.rows:
        print(f"page: {page}")
    print(render_text(board))
    return 1 if board.failed else refused


def close(door: Door, store: Any, sweep: str, plan: SweepPlan, board: Board) -> int:
    """Refit the winner, or the ensemble of the best jobs, show it the holdout, gate, register and report it.

    Returns:
        The run's exit code.
    """
    from mlframe.commands.run import run_task
    from mlframe.runner.keys import digest

    row = board.rows[0] if plan.settings["winner"] == "best" else board.proposed
    assert row is not None
    if plan.settings["ensemble"] == "none":
        print(f"\nthe winner for good, trial {row.trial}: {row.label}", flush=True)
        composed = door.compose(list(row.overrides))
    else:
        composed = ensemble(door, store, plan, board)
    # A finished sweep that is resumed and brings no other winner needs no second version of it, and no second look.
    identity = digest({key: value for key, value in composed.recorded.items() if key not in ("group", "sweep")})
    before = store.sweep(sweep)["closing"] or {}
    if before.get("version") and before.get("config") == identity:
        print(f"it was trained for good before, as {before['version']} in run {before['run']}")
        return 0
    code = run_task(door, composed, group=sweep)
    closing = store.runs(limit=1, group=sweep)[0]
    version = (closing["summary"] or {}).get("version")
    store.update_sweep(sweep, closing={"run": closing["id"], "version": version, "config": identity})
    return code


def ensemble(door: Door, store: Any, plan: SweepPlan, board: Board) -> Composed:
    """Return the config of an ensemble of the best jobs that differ in model and featurizer only.

    Their folds were fitted in the sweep, so the step cache answers for them.

    Raises:
        ConfigError: fewer than two jobs can be put together.
    """
    from mlframe.sweep.space import spell

    runs = {row.trial: store.run(row.runs[0])["config"] for row in board.rows if row.runs}
    best = board.rows[0]
    base = _frame(runs[best.trial])
    members: dict[str, Any] = {}
    left_out = []
    for row in board.rows:
        if len(members) == plan.settings["ensemble_size"]:
            break
        config = runs[row.trial]
        if _frame(config) != base:
            left_out.append(row)
            continue
        members[f"trial_{row.trial}"] = {**config["model"], "featurizer": config["featurizer"]}
    if len(members) < 2:
        raise ConfigError(
            "The sweep's jobs cannot be put together: an ensemble needs two that differ in model or featurizer only",
            where=f"sweep.ensemble={plan.settings['ensemble']}",
            hint="sweep models and their parameters, not data, splitter or fit; or leave sweep.ensemble out",
        )
    if left_out:
        print(f"left out, since they differ in more than model and featurizer: {_trials(left_out)}")
    print(f"\nthe sweep's ensemble ({plan.settings['ensemble']}) of {', '.join(members)}", flush=True)
    lines = [line for line in best.overrides if _group(line) not in ("model", "featurizer", "ensembler")]
    lines.append(f"ensembler={plan.settings['ensemble']}")
    shipped = door.compose(lines).raw["ensembler"]["members"]
    off = dict.fromkeys(shipped)  # they were no jobs of the sweep
    # Members are typed as any override, long as it is: the run's command is one that can be typed again.
    return door.compose([*lines, f"++ensembler.members={spell({**off, **members})}"])


def record(door: Door, store: Any, plan: SweepPlan, board: Board, pictures: Sequence[Any]) -> None:
    """Give the trackers a run of the sweep's own, with the leaderboard and its pictures."""
    from mlframe.config.schema import entries
    from mlframe.contracts import RunInfo
    from mlframe.runner.run import close_trackers
    from mlframe.sweep.shown import frame

    config = plan.first.recorded
    trackers = {
        key: door.plugins.registry.create("trackers", node)
        for key, node in entries(plan.first.resolved.get("trackers"))
    }
    if not trackers:
        return
    facts = {"command": list(door.overrides)}
    run = store.start_run(
        task="sweep", name=board.name, group=board.sweep, config=config, unresolved=config, facts=facts
    )
    info = RunInfo(run, board.name, "sweep", board.sweep, config, store.run_folder(run), facts)
    summary = {"trackers": {}, "seconds": 0.0}
    for key, tracker in trackers.items():
        status = "failed"
        try:
            tracker.open(info)
            tracker.table("leaderboard", frame(board))
            for picture in pictures:
                tracker.chart(picture)
            tracker.figures({f"folds/{board.metric}": board.rows[0].mean})
            status = "finished"
        except Exception as error:  # the sweep is over, and the leaderboard is still to be shown
            log.warning("The tracker %s cannot keep the leaderboard: %s", key, error)
        finally:
            close_trackers([tracker], status, summary)
    store.finish_run(run, "finished", summary)


def _frame(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what members of one ensemble must have in common."""
    return {key: config.get(key) for key in ("data", "goal", "labeler", "splitter", "validators", "fit", "seed")}


def _group(line: str) -> str:
    return line.partition("=")[0].lstrip("+~").partition(".")[0].partition("@")[0]


def _trials(rows: Sequence[Row]) -> str:
    return shlex.join([f"trial {row.trial}" for row in rows])

"""One update, phase by phase: each is written down before the next begins, so that a kill costs only what was being done."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlframe.config.price import priced
from mlframe.contracts.amounts import parse_duration, parse_size
from mlframe.errors import MlframeError, MovedError, StepError, UnknownNameError
from mlframe.operating.child import Outcome, memory_of, run_child, still_runs, tail_of
from mlframe.operating.policy import DataWindow, Policy
from mlframe.operating.rows import ARRIVED, Stock, cut, gather, told_apart, unlearned, write
from mlframe.operating.state import State
from mlframe.operating.triggers import Fired
from mlframe.steps.finish import finishes
from mlframe.steps.learned import learned_rows
from mlframe.store.bundle import read_manifest

__all__ = ["PHASES", "Challenge", "child_words", "new_rows", "training_words"]

PHASES = ("begun", "cut", "trained", "decided")
"""What is written down: the reasons; the rows; the run that has ended; the decision. Its effect ends the update."""
FORGOTTEN = ("task", "update", "version", "input", "output", "group", "gate.margin", "explain")
"""Keys of the overrides of `operate` that no task has from it."""
MOST_BACKOFF = 86400.0
GRAVE = 3
"""Failures in a row that make a warning a problem."""


class Challenge:
    """Does updates of one model, one at a time.

    Args:
        context: the run.
        state: what was written down.
        policy: the update policy.
        who: who promotes, for the alias log.
    """

    def __init__(self, context: Any, state: State, policy: Policy, who: str = "operate") -> None:
        self.context, self.state, self.policy, self.who = context, state, policy, who
        self.store, self.name, self.node = context.store, state.name, context.config["update"]
        self.folder: Path = self.store.folder / "operating" / self.name

    def begin(self, fired: list[Fired]) -> None:
        """Write down that an update begins, and why, before anything is done."""
        record = self.state.read()
        number = int(record.get("updates", 0)) + 1
        moment = _now()
        pending = {one["trigger"]: one for one in record.get("pending") or []}
        pending |= {one.trigger: {**asdict(one), "when": moment} for one in fired}
        update = {
            "id": f"{self.name}-update-{number}-{secrets.token_hex(2)}",
            "number": number,
            "phase": "begun",
            "began": moment,
            "champion": self.store.holder(self.name),
        }
        self.state.set(pending=list(pending.values()), update=update, updates=number)

    def go_on(self) -> dict[str, Any] | None:
        """Do what is left of the update that is written down.

        Returns:
            The decision, None where no update was under way.
        """
        decision = None
        while update := self.state.read().get("update"):
            self.state.beat()
            try:
                decision = self._next(update)
            except MlframeError as error:
                if isinstance(error, _Failed) or error.exit_code == 2 or isinstance(error, StepError):
                    decision = self._fail(update, error)
                else:
                    raise
        return decision

    def _next(self, update: Mapping[str, Any]) -> dict[str, Any] | None:
        record = self.state.read()
        if update["phase"] == "begun":
            said = "; ".join(f"{one['trigger']}: {one['text']}" for one in record["pending"])
            self.state.decide("trigger", update["id"], said, update=update["id"], fired=record["pending"])
            self.state.set(update={**update, "phase": "cut", **self._cut(update, record)})
        elif update["phase"] == "cut":
            self.state.set(update={**update, "phase": "trained", **self._train(update)})
        elif update["phase"] == "trained":
            self.state.set(update={**update, "phase": "decided", "decision": self._judge(update)})
        elif update["phase"] == "decided":
            return self._act(update, record)
        return None

    # ---------------------------------------------------------------------------------------------------- phases

    def _cut(self, update: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """Write the rows of the update as a file of their own, so that a second try learns from the same ones."""
        stock: Stock = gather(self.context)
        new = new_rows(stock.labels, self.store, update["champion"], record)
        window, seen = self.policy.window, stock.labels
        if self.policy.how == "warm" and window.kind == "since_last" and update["champion"]:
            stock, window = self._not_learned(stock, window, update["champion"])
        frame, test = cut(stock, window, new, self.node["test"], self.node["test_rows"])
        path = self.folder / f"{update['id']}.parquet"
        write(frame, path)
        self.context.say(
            f"{frame.height:,} labelled rows, {new:,} of them new; the newest {test:,} are for the comparison"
        )
        return {
            "file": str(path),
            "rows": frame.height,
            "test": test,
            "time": stock.time,
            "seen": seen,
            "new": new,
        }

    def _not_learned(self, stock: Stock, window: DataWindow, champion: str) -> tuple[Stock, DataWindow]:
        """Return the labelled rows that the champion has not learned, whenever they came: late labels, too.

        Where that cannot be told, those that came since the last update.
        """
        manifest = read_manifest(self.store.open_bundle(champion), verify=False)
        columns = told_apart(self.context.config["data"]["columns"] or {}, [c["name"] for c in manifest["inputs"]])
        learned = learned_rows(self.store, champion, columns)
        if learned is None:
            return stock, window
        return unlearned(
            stock, columns, learned, manifest["learning"]["target"], manifest["learning"]["classes"]
        ), DataWindow()

    def _train(self, update: Mapping[str, Any]) -> dict[str, Any]:
        """Train the challenger in a process of its own; one that a killed `operate` has left behind is waited for.

        Raises:
            _Failed: the training failed or passed a limit.
        """
        found = self._trained(update)
        if found is None:
            log = self._log(update)
            words = training_words(self.context, self.policy, update, self.state.read().get("tuned") or ())
            self.context.say(f"training a challenger: mlframe {' '.join(words)}")
            began = time.monotonic()
            ended = self._child(words, log)
            found = self._trained(update)
            if found is None:
                raise _failed(ended, log, "training")
            self.context.say(f"trained in {time.monotonic() - began:.0f} s: {found['version']}")
        return found

    def _log(self, update: Mapping[str, Any]) -> Path:
        return self.folder / f"{update['id']}.log"

    def _trained(self, update: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what the training of an update gave, None where none has ended well; one that still runs is waited for."""
        while True:
            alive = still_runs(self._log(update))  # one that has just been started has no run yet
            runs = [*self._closing(update), *self.store.runs(name=self.name, group=update["id"], limit=1000)]
            done = [run for run in runs if run["status"] == "finished" and (run["summary"] or {}).get("version")]
            if done:
                summary = done[0]["summary"]
                made = {"run": done[0]["id"], "version": summary["version"], "verdict": summary.get("gate") or {}}
                if self.policy.tunes(update["number"]):
                    made["tuned"] = found_words(self.context, self.policy, update, done[0])
                return made
            busy = [run for run in runs if run["status"] == "running"]
            if not busy and not alive:
                return None
            limit = parse_size(self.node["memory"], where="update.memory")
            if busy and limit is not None and memory_of(int(busy[0]["pid"])) > limit:
                return None
            self.state.beat()
            time.sleep(0.5)

    def _closing(self, update: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the run that closed the update's search for parameters."""
        try:
            sweep = self.store.sweep("last")
        except UnknownNameError:
            return []
        mine = f"group={update['id']}" in sweep["command"] and sweep.get("closing")
        return [self.store.run(sweep["closing"]["run"])] if mine else []

    def _judge(self, update: Mapping[str, Any]) -> dict[str, Any]:
        """Decide from the gate's checks, one of which is the paired comparison with the champion."""
        verdict, version = update["verdict"], update["version"]
        checks = verdict.get("checks") or []
        champion = verdict.get("champion")
        base = {"version": version, "champion": champion, "checks": checks, "run": update["run"]}
        holder = self.store.holder(self.name)
        if holder != champion:
            text = f"{version} is not promoted: it was compared with {champion}, and {holder} is the champion now"
            return {**base, "kind": "overtaken", "text": text}
        compared = [check for check in checks if check["name"].startswith("better than")]
        refused = [check for check in checks if check["passed"] is False]
        if refused:
            why = "; ".join(check["evidence"] for check in refused)
            return {**base, "kind": "keep", "text": f"{champion} stays, {version} did not pass: {why}"}
        if not compared or compared[0]["passed"] is not True:
            why = compared[0]["evidence"] if compared else "no comparison was made"
            return {**base, "kind": "keep", "text": f"{champion} stays, {version} could not be compared with it: {why}"}
        base["tests"] = self._tested(update)
        if base["tests"] and not base["tests"]["passed"]:
            why = "; ".join(base["tests"]["failures"][:3])
            return {**base, "kind": "keep", "text": f"{champion} stays, {version} fails standard tests: {why}"}
        kind = self.node["after"]
        words = {"promote": "is the champion", "shadow": "goes to the shadow", "canary": "goes to the canary"}[kind]
        return {**base, "kind": kind, "text": f"{version} {words}: {compared[0]['evidence']}"}

    def _tested(self, update: Mapping[str, Any]) -> dict[str, Any] | None:
        """Run the standard tests in a process of their own; None where none are asked for.

        Raises:
            _Failed: they ended without an outcome.
        """
        if self.node["tests"] == "none":
            return None
        file, log = (self.folder / f"{update['id']}-tests.{ending}" for ending in ("json", "log"))
        file.unlink(missing_ok=True)
        place = [word for word in child_words(self.context, task="test") if _key(word).startswith("store.")]
        staged = ["--staged"] if self.node["tests"] == "staged" else []
        ended = self._child(["test", update["version"], *staged, f"--json={file}", *place], log)
        if not file.exists():
            raise _failed(ended, log, "standard tests")
        found = json.loads(file.read_text(encoding="utf-8"))
        return {key: found[key] for key in ("passed", "seconds", "counts", "failures")}

    def _child(self, words: Sequence[str], log: Path) -> Outcome:
        """Run a command line in a process of its own, within the limits of an update."""
        return run_child(
            words,
            log,
            seconds=parse_duration(self.node["timeout"], where="update.timeout"),
            memory=parse_size(self.node["memory"], where="update.memory"),
            beat=self.state.beat,
            pause=self.state.lease / 4,
            environment=_environment(self.context),
        )

    def _act(self, update: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """Do what was decided, unless the alias log says that it is done; then the update is over."""
        decision = dict(update["decision"])
        kind, version = decision["kind"], decision["version"]
        fields: dict[str, Any] = {"update": None, "updated": _now(), "seen": update["seen"], "failures": 0}
        fields |= {"not_before": None, "pending": [], "last_rows": update["rows"]}
        if update.get("tuned") is not None:
            fields["tuned"] = update["tuned"]
        if kind == "promote" and not self.point(version, update["id"], decision, expected=decision["champion"]):
            kind = decision["kind"] = "overtaken"
            decision["text"] = f"{version} is not promoted: the champion was moved while it was decided"
        if kind in ("shadow", "canary"):
            self.point(version, update["id"], decision, alias=self.node["alias"])
            until = datetime.now(UTC) + timedelta(seconds=parse_duration(self.node["trial"], where="update.trial") or 0)
            fields["trial"] = {**decision, "id": update["id"], "began": _now(), "until": until.isoformat()}
        if kind == "overtaken":  # the reasons are as good as before
            fields = {"update": None}
        fired = record.get("pending") or []
        evidence = {key: value for key, value in decision.items() if key not in ("kind", "text")}
        evidence |= {key: update[key] for key in ("rows", "new", "test", "tuned") if key in update}
        seconds = (datetime.now(UTC) - datetime.fromisoformat(update["began"])).total_seconds()
        spent = priced(self.context.config, seconds)
        made = self.state.decide(
            kind, update["id"], decision["text"], update=update["id"], fired=fired, seconds=seconds, **spent, **evidence
        )
        self.state.set(**fields)
        self.state.alarm("update/failed")
        if kind == "keep":
            Path(update["file"]).unlink(missing_ok=True)
        return made

    def point(
        self, version: str, key: str, evidence: Mapping[str, Any], *, alias: str = "champion", expected: Any = None
    ) -> bool:
        """Point an alias at a version, once: what the alias log holds already is not done again.

        Returns:
            False where somebody else has moved the champion meanwhile.
        """
        done = [row for row in self.store.history(self.name) if (row["evidence"] or {}).get("update") == key]
        if any(row["alias"] == alias and row["to"] == version for row in done):
            return True
        self.state.beat()
        why = f"update {key}: {evidence['text']}"
        kept = {"update": key, "run": evidence.get("run"), "checks": evidence.get("checks")}
        guard = {"expected": expected} if alias == "champion" else {}
        try:
            self.store.promote(version, alias=alias, who=self.who, why=why, evidence=kept, **guard)
        except MovedError:
            return False
        return True

    def _fail(self, update: Mapping[str, Any], error: MlframeError) -> dict[str, Any]:
        """Keep the champion and the reasons, and wait longer after each failure in a row."""
        failures = int(self.state.read().get("failures", 0)) + 1
        wait = (parse_duration(self.node["backoff"], where="update.backoff") or 0.0) * 2.0 ** (failures - 1)
        wait = min(wait, MOST_BACKOFF)
        until = datetime.now(UTC) + timedelta(seconds=wait)
        first = str(error).splitlines()[0]
        text = f"an update failed ({failures} in a row), {update['champion']} stays, the next try is in {_spoken(wait)}: {first}"
        made = self.state.decide(
            "fail",
            update["id"],
            text,
            update=update["id"],
            error=str(error),
            failures=failures,
            until=until.isoformat(),
        )
        self.state.set(update=None, failures=failures, not_before=until.isoformat())
        severity = "problem" if failures >= GRAVE else "warning"
        action = f"look at {self.folder / (update['id'] + '.log')}; the champion keeps serving"
        seen = {"text": text, "cause": first, "action": action, "evidence": {"failures": failures}}
        self.state.alarm("update/failed", severity, seen)
        return made


class _Failed(StepError):
    """A training that failed: nothing of this process's own."""


def child_words(context: Any, *, task: str) -> list[str]:
    """Return the words of a child's command line: those of this one, for another task."""
    words = [
        word
        for word in context.run.facts.get("command") or ()
        if not any(_key(word) == name or _key(word).startswith(f"{name}.") for name in FORGOTTEN)
    ]
    blocked = [record.name for record in context.plugins.records.values() if record.status == "blocked"]
    return [
        task,
        *words,
        f"name={context.config['name']}",
        *([f"plugins.block=[{','.join(blocked)}]"] if blocked else []),
    ]


def found_words(context: Any, policy: Policy, update: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """Return what a search has found: the words of the run that closed it which the update did not give."""
    given = training_words(context, policy, update)
    return [word for word in run["facts"]["command"] if word not in given and not word.startswith("task=")]


def training_words(context: Any, policy: Policy, update: Mapping[str, Any], tuned: Sequence[str] = ()) -> list[str]:
    """Return the words of the training: on the rows of the update, judged along time, promoted by nobody.

    Args:
        context: the run.
        policy: the update policy.
        update: the update: its file, rows, and champion.
        tuned: what the last search for parameters has found, used by every update until the next one.
    """
    source, splitter = context.config["data"]["source"], context.config["splitter"]
    words, added = [], set()
    for word in child_words(context, task="train"):
        if _key(word).startswith("data.source.") and word.startswith("~"):
            words.append(word)  # gone before, gone now
        elif _key(word).startswith(("data/source", "data.source")):
            added |= {_key(word).removeprefix("data.source.")} if word.startswith("+") else set()
        elif not _key(word).startswith("splitter") and _key(word) != "level":
            words.append(word)
    words += ["data.source.name=parquet"]
    words += [f"~data.source.{key}" for key in source if key not in ("name", "path") and key not in added]
    sign = "" if "path" in source and "path" not in added else "+"
    words += [f"{sign}data.source.path={_quoted(update['file'])}"]
    if update["time"] == ARRIVED:
        words += [f"+data.columns.{ARRIVED}={{role: time, kind: numeric, tags: []}}"]
    least = 2 if finishes(context.config) else 1  # what is learned from out-of-fold predictions needs two
    words += ["splitter=time", f"splitter.folds={max(int(splitter.get('folds') or 1), least)}"]
    words += [f"splitter.holdout={update['test'] / update['rows']!r}"]
    words += [f"splitter.gap={splitter['gap']}"] if splitter.get("gap") else []
    words += ["level=manual", f"gate.margin={context.config['update']['margin']}", f"group={update['id']}"]
    if policy.how == "warm" and update["champion"]:
        words += [f"fit.warm={update['champion']}"]
    if policy.tunes(update["number"]):
        return [*words, "-m", *context.config["update"]["tune"]]
    return [*words, *tuned]


def new_rows(labels: int, store: Any, champion: str | None, record: Mapping[str, Any]) -> int:
    """Return how many labelled rows have come since the last update, or since the champion was trained."""
    seen = record.get("seen")
    if champion is not None:
        version = store.version(champion)
        updated = record.get("updated")
        if seen is None or updated is None or _moment(version["created"]) > _moment(updated):
            seen = read_manifest(store.open_bundle(champion), verify=False)["data"]["rows"]
    return max(0, labels - int(seen or 0))


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _environment(context: Any) -> dict[str, str]:
    threads = str(context.config["resources"]["threads"])
    return {"OMP_NUM_THREADS": threads}


def _failed(ended: Outcome, log: Path, task: str) -> _Failed:
    if ended.limit is not None:
        hint = "raise the limit, or give it less to do"
        return _Failed(f"The {task} was ended: {ended.limit}", where=str(log), hint=hint)
    lines = ended.tail.splitlines()
    at = next((index for index in range(len(lines) - 1, -1, -1) if lines[index].startswith("mlframe:")), None)
    why = f"it ended with code {ended.code}"
    if at is not None:
        why = lines[at].removeprefix("mlframe:").strip()
        if why.endswith("before anything was read:") and at + 1 < len(lines):
            why = lines[at + 1].strip()
    return _Failed(f"The {task} failed: {why}", where=str(log), hint=f"its last lines:\n{tail_of(log)}")


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "\\'") + "'"


def _moment(told: Any) -> datetime:
    return datetime.fromisoformat(str(told))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _spoken(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"

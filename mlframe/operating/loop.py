"""The process that keeps a model good: monitors on schedule, looks at triggers, updates, watches what was promoted."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from mlframe.config.schema import pick
from mlframe.contracts import DEFAULT_METRICS
from mlframe.contracts.amounts import parse_duration, parse_size
from mlframe.errors import ConfigError, MlframeError, MovedError, UnknownNameError
from mlframe.operating.challenge import Challenge, child_words, new_rows
from mlframe.operating.child import run_child
from mlframe.operating.health import Health, look
from mlframe.operating.policy import read_policy
from mlframe.operating.rows import gather
from mlframe.operating.schedule import parse_schedule
from mlframe.operating.state import State
from mlframe.operating.triggers import Fired, Situation
from mlframe.store.bundle import read_manifest
from mlframe.store.operations import LeaseLost
from mlframe.store.predictions import scan_feedback, scan_predictions

__all__ = ["Operator"]

_LOG = logging.getLogger("mlframe")


class Operator:
    """Operates one model.

    Args:
        context: the run; `config.update` says how.
    """

    def __init__(self, context: Any) -> None:
        self.context, self.store, self.node = context, context.store, context.config["update"]
        self.name: str = context.config["name"]
        self.metric, self.lower = self._metric()
        self.policy = read_policy(self.node, metric=self.metric)
        holder = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.state = State(context, holder, self._seconds("lease") or 120.0)
        self.challenge = Challenge(context, self.state, self.policy)
        self._waiting = False
        self._counted: tuple[Any, int, int] | None = None

    # ------------------------------------------------------------------------------------------------------ rounds

    def run(self) -> None:
        """Do rounds until the end (an interrupt), or one with `update.once`."""
        poll = self._seconds("poll") or 60.0
        self.context.say(f"operating {self.name}: {self._described()}")
        try:
            while True:
                acted = True
                if self.node["once"]:
                    self.round()
                    return
                try:
                    acted = self.round()
                except Exception as error:  # a round that fails is no reason to stop watching
                    self._failed(error)
                # Whoever acts says so more often than the lease lasts; whoever waits looks as often.
                until = time.monotonic() + (poll if acted else min(poll, self.state.lease / 4))
                while (left := until - time.monotonic()) > 0:
                    time.sleep(min(left, self.state.lease / 4))
                    if acted and not self.state.hold():
                        break
        finally:
            self.state.release()

    def round(self) -> bool:
        """Do one round; False where another process acts for the model."""
        if not self.state.hold():
            if not self._waiting:
                holder = self.store.operations.get(self.name)["holder"]
                self.context.say(f"another process operates {self.name} ({holder}): this one waits and takes over")
            self._waiting = True
            return False
        if self._waiting:
            self.context.say(f"taking over {self.name}")
        self._waiting = False
        try:
            self.act()
        except LeaseLost as error:
            self.context.say(str(error).splitlines()[0])
            return False
        self.state.alarm("round/failed")
        return True

    def act(self) -> None:
        """Go on with what was begun, look, and begin what there is reason for."""
        self._finish_rollback()
        if self.state.read().get("update"):
            self.context.say("going on with an update that was begun")
            self.challenge.go_on()
        if not self._champion():
            return
        self._monitor()
        self._watch()
        self._trial()
        self.state.beat()
        record = self.state.read()
        if record.get("trial") or self._too_early(record):
            return
        if record.get("pending"):
            self._update([])
            return
        fired = self.policy.decide(self.situation(record)) if self.policy.triggers else []
        if fired:
            self._update(fired)

    def _failed(self, error: Exception) -> None:
        """Say that a round failed; the next one is tried as ever."""
        _LOG.exception("A round failed")
        text = f"a round failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        self.context.say(f"warning: {text}; it is tried again in {self.node['poll']}")
        with suppress(MlframeError):  # a store that cannot be read cannot keep an alarm either
            self.state.alarm("round/failed", "problem", {"text": text, "action": "look at what operate has written"})

    def by_hand(self) -> dict[str, Any]:
        """Update once, now.

        Raises:
            ConfigError: there is no champion, another process operates the model, or a challenger is on trial.
        """
        if not self.state.hold():
            holder = self.store.operations.get(self.name)["holder"]
            hint = "it updates by itself; stop it first, or wait"
            raise ConfigError(f"Another process operates {self.name!r}", value=holder, where="update", hint=hint)
        try:
            self._finish_rollback()
            self.challenge.go_on()
            if self.store.holder(self.name) is None:
                hint = f"train one and promote it: mlframe train data=…; mlframe promote {self.name}/1"
                raise ConfigError(f"{self.name!r} has no champion to compare with", where="name", hint=hint)
            if self.state.read().get("trial"):
                hint = "'operate' ends the trial; or promote a version by hand"
                raise ConfigError("A challenger is on trial now", where="update.trial", hint=hint)
            self.challenge.begin([Fired("by_hand", "asked for on the command line")])
            return self.challenge.go_on() or {}
        finally:
            self.state.release()

    # --------------------------------------------------------------------------------------------------- situation

    def situation(self, record: Mapping[str, Any]) -> Situation:
        """Return how things stand."""
        champion = self.store.version(f"{self.name}@champion")
        updated = datetime.fromisoformat(record["updated"]) if record.get("updated") else None
        trained = datetime.fromisoformat(str(champion["created"]))
        rows, labels = self._news(champion["reference"], record, max(trained, updated or trained))
        return Situation(
            now=datetime.now(UTC),
            trained=trained,
            updated=updated,
            champion=champion["reference"],
            new_rows=rows,
            new_labels=labels,
            alarms=self.state.live(),
            windows=[
                w
                for w in self.store.windows.many(self.name, source=self.state.watched)
                if w["version"] == champion["reference"]
            ],
            reference=(champion["figures"] or {}).get("holdout") or {},
            lower=[self.metric] if self.lower else [],
        )

    def _news(self, champion: str, record: Mapping[str, Any], last: datetime) -> tuple[int | None, int | None]:
        """Count rows and labels since the last update; only where a trigger asks, since it may mean reading the data."""
        import polars as pl

        if not {"new_data", "labels"} & set(self.policy.triggers):
            return None, None
        if self.node["rows"] == "feedback":
            asked = scan_predictions(self.store, self.name, last).filter(pl.col("role") != "shadow")
            known = scan_feedback(self.store, self.name, last).filter(pl.col("label").is_not_null())
            counts = (asked.select(pl.len()), known.select(pl.struct("request_id", "row").n_unique()))
            return tuple(int(one.collect().item()) for one in counts)  # type: ignore[return-value]
        mark = self.context.component("data/source").fingerprint()
        if self._counted is None or self._counted[0] != mark:
            stock = gather(self.context)
            self._counted = (mark, stock.rows, stock.labels)
        _, rows, labels = self._counted
        seen = labels - new_rows(labels, self.store, champion, record)
        return max(0, rows - seen), max(0, labels - seen)

    # -------------------------------------------------------------------------------------------------- what it does

    def _champion(self) -> bool:
        """Whether there is a champion whose bundle is whole; where not, people are told and nothing is done."""
        text = None
        holder = self.store.holder(self.name)
        if holder is None:
            text = f"{self.name} has no champion: train one and promote it"
        else:
            try:
                self.store.open_bundle(holder)
            except MlframeError as error:
                text = f"the champion {holder} cannot be read: {str(error).splitlines()[0]}"
        if text is None:
            self.state.alarm("champion/gone")
            return True
        self.context.say(text)
        action = f"promote a version: 'mlframe versions {self.name}' lists them"
        self.state.alarm("champion/gone", "problem", {"text": text, "action": action})
        return False

    def _monitor(self) -> None:
        """Run the task `monitor` where it is due, in a process of its own."""
        every = self.node["monitor"]
        record = self.state.read()
        if every is None:
            return
        last = record.get("monitored")
        due = last is None or datetime.now(UTC) >= parse_schedule(every, where="update.monitor").after(
            datetime.fromisoformat(last)
        )
        if not due:
            return
        began = datetime.now(UTC).isoformat(timespec="microseconds")
        mine = child_words(self.context, task="monitor")
        log = self.challenge.folder / "monitor.log"
        ended = run_child(
            mine,
            log,
            seconds=self._seconds("timeout"),
            memory=parse_size(self.node["memory"], where="update.memory"),
            beat=self.state.beat,
            pause=self.state.lease / 4,
        )
        self.state.set(monitored=began)
        if ended.code:
            text = f"the task monitor ended with code {ended.code}" + (f": {ended.limit}" if ended.limit else "")
            seen = {"text": text, "action": f"look at {log}"}
            self.context.say(f"warning: {text}; {log} says why")
            self.state.alarm("monitoring/failed", "warning", seen)
        else:
            log.unlink(missing_ok=True)
            self.state.alarm("monitoring/failed")

    def _update(self, fired: list[Fired]) -> None:
        self.challenge.begin(fired)
        self.challenge.go_on()

    def _too_early(self, record: Mapping[str, Any]) -> bool:
        until = record.get("not_before")
        return until is not None and datetime.now(UTC) < datetime.fromisoformat(until)

    def _watch(self) -> None:
        """Roll a new champion back where its health has fallen, whoever promoted it."""
        seconds = self._seconds("watch")
        last = self._last_move()
        if seconds is None or last is None or last["action"] != "promote" or last["from"] is None:
            return
        since = datetime.fromisoformat(str(last["when"]))
        if datetime.now(UTC) > since + timedelta(seconds=seconds):
            return
        health = self._look(last["to"], last["from"], since, since - timedelta(seconds=seconds), None)
        if not health.fallen:
            return
        text = f"{last['to']} is rolled back to {last['from']}: {'; '.join(health.fallen)}"
        key = f"{last['to']} {last['when']}"
        rolling = {"key": key, "version": last["to"], "text": text, "evidence": dict(health.evidence)}
        self.state.set(rolling=rolling)
        self._finish_rollback()

    def _finish_rollback(self) -> None:
        """Roll back what was decided to be, unless the alias has moved by now."""
        rolling = self.state.read().get("rolling")
        if not rolling:
            return
        self.state.beat()
        if self.store.holder(self.name) == rolling["version"]:
            with suppress(MovedError):
                self.store.rollback(self.name, who="operate", why=rolling["text"], expected=rolling["version"])
        last = self._last_move()
        done = last is not None and last["action"] == "rollback" and last["from"] == rolling["version"]
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        if done:
            self.state.decide("roll_back", rolling["key"], rolling["text"], evidence=rolling["evidence"])
        self.state.set(rolling=None, **({"updated": now} if done else {}))

    def _trial(self) -> None:
        """End the trial of a challenger: drop it where its health is worse, promote it when its time is over."""
        trial = self.state.read().get("trial")
        if not trial:
            return
        champion, version = self.store.holder(self.name), trial["version"]
        kind, text = "keep", ""
        evidence: dict[str, Any] = {}
        over = datetime.now(UTC) >= datetime.fromisoformat(trial["until"])
        if champion != trial["champion"]:
            text = f"{version} is dropped: it was to follow {trial['champion']}, and {champion} is the champion now"
        else:
            began = datetime.fromisoformat(trial["began"])
            health = self._look(version, champion, began, began, trial["kind"])
            evidence = dict(health.evidence)
            if health.fallen:
                text = f"{version} is dropped after its trial as {trial['kind']}: {'; '.join(health.fallen)}"
            elif not over:
                return
            elif health.rows < int(self.node["health"].get("rows") or 1):
                text = (
                    f"{version} is dropped: {health.rows} of its predictions are in the log; start the server with "
                    f"deployer.{trial['kind']}{'.version' if trial['kind'] == 'canary' else ''}={self.node['alias']}"
                )
            else:
                kind = "promote"
                text = f"{version} is the champion after its trial as {trial['kind']}: {trial['text']}"
        key = f"{trial['id']}-trial"
        decision = {**trial, "text": text}
        if kind == "promote" and not self.challenge.point(version, key, decision, expected=champion):
            kind, text = "keep", f"{version} is dropped: the champion was moved while it was decided"
        if kind == "keep" and champion is not None:
            self.challenge.point(champion, key, decision, alias=self.node["alias"])
        checks = trial.get("checks")
        self.state.decide(
            kind,
            key,
            text,
            update=trial["id"],
            version=version,
            champion=champion,
            checks=checks,
            **({"evidence": evidence} if evidence else {}),
        )
        self.state.set(trial=None, updated=datetime.now(UTC).isoformat(timespec="microseconds"))

    def _look(self, version: str, before: str, since: datetime, before_since: datetime, role: str | None) -> Health:
        return look(
            self.context,
            version,
            before,
            since=since,
            before_since=before_since,
            metric=self.metric,
            lower=self.lower,
            role=role,
        )

    # ------------------------------------------------------------------------------------------------------- small

    def _last_move(self) -> dict[str, Any] | None:
        try:
            moves = [row for row in self.store.history(self.name) if row["alias"] == "champion"]
        except UnknownNameError:
            return None
        return dict(moves[-1]) if moves else None

    def _metric(self) -> tuple[str, bool]:
        """Return the figure that decides, and whether less of it is better."""
        task = self.context.config["goal"].get("task")
        holder = self.store.holder(self.name)
        if holder is not None:
            with suppress(MlframeError):  # said by `_champion`
                task = read_manifest(self.store.open_bundle(holder), verify=False)["learning"]["task"]
        metric = pick(self.context.config, "goal.metric") or DEFAULT_METRICS[task or "binary"]
        for _, evaluator in self.context.components("evaluators"):
            for figure in evaluator.declares():
                if figure.name == metric:
                    return metric, figure.better == "lower"
        return metric, False

    def _seconds(self, key: str) -> float | None:
        return parse_duration(self.node[key], where=f"update.{key}")

    def _described(self) -> str:
        node = self.node
        names = ", ".join(self.policy.triggers) or "none (update=triggered sets some)"
        monitor = f"monitor every {node['monitor']}" if node["monitor"] else "no monitoring"
        return f"triggers {names}; {monitor}; a look every {node['poll']}"

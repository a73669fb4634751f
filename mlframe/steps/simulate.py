"""Replays the rows as a stream, under several ways of updating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.config.schema import entries
from mlframe.config.simulate import policy_of
from mlframe.contracts import Step
from mlframe.contracts.amounts import parse_duration
from mlframe.pipeline import Learning

__all__ = ["Simulate"]


class Simulate(Step):
    """Gives `simulation`: what each strategy gave along time, how often it was trained and what that cost."""

    summary = "replays the rows under several ways of updating"
    reads = ("simulate", "model", "featurizer", "splitter", "ensembler", "fit", "update", "goal", "resources", "seed")
    needs = ("labelled", "labels", "learning")
    gives = {"simulation": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Replay strategy by strategy, then write the page, the table and the record."""
        from mlframe.operating.simulate import Stream, last_label, run_online, run_policy, shortened
        from mlframe.operating.simulate_alarms import Watch
        from mlframe.operating.simulate_learners import Learner, Online
        from mlframe.operating.simulate_shown import show

        node = context.config["simulate"]
        learning = Learning.from_record(inputs["learning"])
        table, labels = shortened(inputs["labelled"], inputs["labels"], node["rows"])
        seconds = {
            key: parse_duration(node[key], where=f"simulate.{key}", zero=True) or 0.0
            for key in ("start", "delay", "look")
        }
        shuffle = context.config["seed"] if node["shuffle"] else None
        stream = Stream.of(table, labels, learning, **seconds, shuffle=shuffle)
        context.say(f"{stream.first:,} rows of the first stretch, {len(stream.times) - stream.first:,} are judged")
        columns = [record for record in stream.table.column_records() if record["role"] == "feature"]
        for _, strategy in entries(node["strategies"]):
            if strategy["kind"] == "online":
                Online(context, stream, strategy.get("model"), strategy.get("featurizer")).check()
        outcomes = [last_label(stream)]
        for name, strategy in entries(node["strategies"]):
            kind = strategy["kind"]

            def tell(share: float, name: str = name) -> None:
                context.progress(round(100 * share), 100, name)

            watch = Watch(columns, delta=node["delta"], rows=node["drift_rows"])
            if kind == "online":
                learner = Online(context, stream, strategy.get("model"), strategy.get("featurizer"))
                done = run_online(stream, name, learner, tell)
            else:
                policy = policy_of(context.config, strategy)
                done = run_policy(stream, name, kind, policy, Learner(context, stream), watch, tell)
            count = len(done.trainings)
            context.say(f"{name}: {count:,} training{'s' if count != 1 else ''}, {done.seconds:.1f} s of learning")
            outcomes.append(done)
        return {"simulation": show(context, stream, outcomes)}

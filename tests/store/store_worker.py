"""Writes to a store without end, until it is killed; the tests of kills start it as a process of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from mlframe.store import Store
from mlframe.store.bundle import write_manifest


def make_bundle(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(text)
    write_manifest(folder, name="email", run_id="r", files=["model.txt"], extra={})
    return folder


def main(root: str, ready: str, rounds: str, url: str | None = None) -> None:
    with Store.open(root, url) as store, tempfile.TemporaryDirectory() as folder:
        number = 0
        while True:
            if number == int(rounds):
                Path(ready).touch()
            number += 1
            run = store.start_run(task="train", name="email", group=None, config={}, unresolved={}, facts={})
            value = {"x": np.full(700_000, number)}
            store.save_artifact(f"key-{number % 7}", step="s", kind="arrays", name="x", value=value)
            store.save_artifact(f"text-{number % 7}", step="s", kind="json", name="x", value=[number] * number)
            reference = store.register(
                "email", make_bundle(Path(folder) / str(number), f"{run} {number}"), run_id=run, figures={}, facts={}
            )
            store.promote(reference, who="worker", why="test", evidence={"run": run})
            if number % 3 == 0:
                store.rollback("email", who="worker", why="test")
            store.evict(20_000_000)
            store.finish_run(run, "finished", {"version": reference})


if __name__ == "__main__":
    main(*sys.argv[1:])

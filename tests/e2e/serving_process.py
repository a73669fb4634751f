"""A process that may only serve: opens bundles and scores their examples. Reads one JSON request a line.

What a prediction server must do without cannot be imported here at all, so a library that would take pandas when it is
there has to do without it as well.
"""

from __future__ import annotations

import json
import sys
from typing import Any

FORBIDDEN: tuple[str, ...] = (
    "hydra",
    "omegaconf",
    "pandera",
    "wandb",
    "pandas",
    "matplotlib",
    "mlframe.sweep",
    "mlframe.runner",
)


class Refuse:
    """Lets no forbidden module be imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if any(name == root or name.startswith(f"{root}.") for root in FORBIDDEN) or name.startswith("mlframe.steps."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def score(root: str, reference: str, registry: Any) -> dict[str, Any]:
    """Open a version, and score its examples as one batch and row by row."""
    import numpy as np
    import polars as pl

    from mlframe.pipeline import Pipeline
    from mlframe.store.bundle import read_manifest
    from mlframe.store.store import Store

    with Store.open(root, create=False) as store:
        folder = store.open_bundle(reference)
        read_manifest(folder)
        pipeline = Pipeline.load(folder / "pipeline", registry)
        examples = pl.read_ipc(folder / "examples.arrow")
        expected = pl.read_ipc(folder / "expected.arrow")
    batch = pipeline.predict(examples)
    single = pl.concat([pipeline.predict(examples[row : row + 1]) for row in range(len(examples))])
    backwards = pipeline.predict(examples.reverse()).reverse()
    found: dict[str, Any] = {"rows": len(expected), "columns": expected.columns}
    for name, scored in (("batch", batch), ("single", single), ("backwards", backwards)):
        numbers = [column for column, dtype in expected.schema.items() if dtype.is_numeric()]
        wanted, given = expected.select(numbers).to_numpy(), scored.select(numbers).to_numpy()
        scale = np.maximum(1.0, np.abs(wanted))
        labels = "y_pred" in numbers or bool((expected["y_pred"] == scored["y_pred"]).all())
        found[name] = {"difference": float((np.abs(wanted - given) / scale).max()), "labels": labels}
    return found


def main() -> None:
    """Answer each request until the input ends; an argument names a module that a model's own library needs."""
    global FORBIDDEN
    FORBIDDEN = tuple(name for name in FORBIDDEN if name not in sys.argv[1:])
    sys.meta_path.insert(0, Refuse())  # type: ignore[arg-type]
    from mlframe.plugins import load_plugins

    registry = load_plugins().registry
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = score(request["root"], request["reference"], registry)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["loaded"] = [
            name
            for name in sys.modules
            if any(name == root or name.startswith(f"{root}.") for root in FORBIDDEN)
            or name.startswith("mlframe.steps.")
        ]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""River for mlframe: models that learn from each label, and detectors of change. Nothing heavy is imported before one is picked."""

from __future__ import annotations

from mlframe import Component, hookimpl

__all__ = ["mlframe_config", "mlframe_models", "mlframe_monitors"]
__version__ = "0.1.0"


@hookimpl
def mlframe_models() -> list[Component]:
    """Offer River's linear models."""
    return [
        Component(
            "online_linear",
            {
                "classification": "mlframe_river.linear:OnlineLogistic",
                "regression": "mlframe_river.linear:OnlineLinear",
            },
            "Linear model that learns from each label (River), on standardized features",
            adapter="mlframe_river.adapter:RiverAdapter",
            check="mlframe_river.linear:check",
        ),
    ]


@hookimpl
def mlframe_monitors() -> list[Component]:
    """Offer the monitor of errors."""
    return [
        Component(
            "river_errors",
            "mlframe_river.monitor:ErrorMonitor",
            "Whether a model errs more than at first: River's ADWIN, KSWIN, Page-Hinkley, DDM, EDDM, HDDM",
        ),
    ]


@hookimpl
def mlframe_config() -> list[str]:
    """Offer the folder with `model/online_linear.yaml` and `monitors/river_errors.yaml`."""
    return ["pkg://mlframe_river.conf"]

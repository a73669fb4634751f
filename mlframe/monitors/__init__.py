"""Watchers of a model at work."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_monitors() -> list[Component]:
    """Offer the built-in monitors."""
    return [
        Component(
            "drift",
            "mlframe.monitors.drift:DriftMonitor",
            "Columns and predictions that have moved since training, ranked by what that does to predictions",
        ),
        Component(
            "quality",
            "mlframe.monitors.quality:QualityMonitor",
            "Broken rules, missing and unseen values, freshness, volume, duplicates, clocks, contradicting labels",
        ),
        Component(
            "service",
            "mlframe.monitors.service:ServiceMonitor",
            "Latency, throughput, sizes of requests, cost of 1,000 predictions",
        ),
        Component(
            "performance",
            "mlframe.monitors.performance:PerformanceMonitor",
            "The figures of training once labels arrive, with intervals, label maturity and what is missing",
        ),
        Component(
            "estimated",
            "mlframe.monitors.estimated:EstimatedMonitor",
            "What the figures would be before labels arrive, with assumptions and how far off it was",
        ),
        Component(
            "concept",
            "mlframe.monitors.concept:ConceptMonitor",
            "Whether what holds for a row has changed, told apart from other rows; ADWIN, DDM, Page-Hinkley",
        ),
        Component(
            "business",
            "mlframe.monitors.business:BusinessMonitor",
            "Key figures and money: against no model, challengers, targets and dates",
        ),
    ]

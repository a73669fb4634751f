"""A store that has been watched for a month: windows, alarms, decisions, as the step `monitor` and `operate` leave them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from mlframe.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
WORDS = "<script>alert(1)</script>"

FIGURES: dict[str, dict[str, Any]] = {
    "drift_share": {"monitor": "drift", "unit": "1", "better": "lower"},
    "missing_share": {"monitor": "quality", "unit": "1", "better": "lower"},
    "roc_auc": {"monitor": "performance", "unit": "1", "better": "higher"},
    "labelled_rows": {"monitor": "performance", "unit": "rows", "better": "higher"},
    "latency_p95_ms": {"monitor": "service", "unit": "ms", "better": "lower"},
    "cost_per_1000": {"monitor": "service", "unit": "EUR", "better": "lower"},
    "value_per_1000": {"monitor": "business", "unit": "EUR", "better": "higher"},
}


def watched(store: Store, name: str = "email", *, days: int = 30, broken: bool = True) -> None:
    """Fill a store: a change on day 14 that is repaired on day 20; with `broken=False` nothing happens."""
    rng = np.random.default_rng(0)
    for day in range(days):
        bad = broken and 14 <= day < 20
        since, until = START + day * DAY, START + (day + 1) * DAY
        version = f"{name}/{1 if not broken or day < 20 else 2}"
        auc = (0.84 if bad else 0.93) + rng.normal(0, 0.006)
        values = {
            "drift_share": (0.31 if bad else 0.02) + rng.uniform(0, 0.02),
            "missing_share": 0.01 + rng.uniform(0, 0.004),
            "roc_auc": auc,
            "labelled_rows": 1100.0 + day,
            "latency_p95_ms": 1.8 + rng.normal(0, 0.1),
            "cost_per_1000": 0.8,
            "value_per_1000": (310 if bad else 905) + rng.normal(0, 25),
        }
        figures: dict[str, Any] = {key: {"value": value, "low": None, "high": None} for key, value in values.items()}
        figures["roc_auc"] |= {"low": auc - 0.012, "high": auc + 0.012, "reference": 0.93}
        seen = {}
        if bad:
            seen["drift/column/sender"] = (
                "problem",
                {
                    "text": f"The column sender has moved: Jensen-Shannon distance 0.31 (limit 0.10) {WORDS}",
                    "evidence": {"distance": 0.3123456, "limit": 0.1, "rows": 1234},
                    "cause": "Mail comes from a domain that training did not know.",
                    "action": "Look at the new domain; train again with mail since then.",
                    "version": version,
                    "column": "sender",
                },
            )
        if bad and day > 14:
            seen["performance/roc_auc"] = (
                "warning",
                {"text": f"roc_auc fell to {auc:.3f} from 0.930", "version": version},
            )
        record = {
            "figures": figures,
            "declared": FIGURES,
            "tables": {"drift/columns": {"columns": ["column", "distance"], "rows": [["sender", 0.3123456]]}},
            "state": {},
            "notes": [f"{40 if day > days - 3 else 2} % of the labels of this window have not come yet."],
            "alarms": list(seen),
            "health": "problem" if bad else "ok",
        }
        store.windows.put(name, version, since, until, 1200 + day, f"run-{day}", record)
        store.alarms.see(name, seen, scope=("drift", "performance"), since=since, until=until)
    if broken:
        store.decisions.add(name, "trigger", {"text": "drift: sender has moved by 0.4"})
        store.decisions.add(name, "keep", {"text": "shop/2 stays, shop/3 did not pass"})

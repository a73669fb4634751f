"""What time on a machine costs, by `resources.price_per_hour` and `goal.currency`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["price_text", "priced"]


def priced(config: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return `cost` and `currency` of so much time; nothing where the config names no price."""
    price = (config.get("resources") or {}).get("price_per_hour")
    if price is None:
        return {}
    return {"cost": seconds / 3600 * price, "currency": (config.get("goal") or {}).get("currency") or "money"}


def price_text(found: Mapping[str, Any]) -> str:
    """Return what `priced` gave as words, empty where it gave nothing."""
    return f"{found['cost']:.4f} {found['currency']}" if found.get("cost") is not None else ""

"""A small table of customers, and the words that train on it in a moment."""

from __future__ import annotations

import random

TABLE = ("data=csv", "data.source.path=my.csv", "data.columns.bought.role=target", "name=shop")
QUICK = ("experiment=quick", "trackers=[]", "reporters=[]", "~task.steps.explore", "evaluators=[classification]")


def make_csv(rows: int = 400) -> str:
    draw = random.Random(0)
    lines = ["age,income,city,bought"]
    for _ in range(rows):
        age = draw.randint(18, 80)
        bought = "yes" if age + draw.randint(-20, 20) > 50 else "no"
        lines.append(f"{age},{draw.randint(1000, 9000)},{draw.choice(['rome', 'oslo', 'bonn'])},{bought}")
    return "\n".join(lines) + "\n"

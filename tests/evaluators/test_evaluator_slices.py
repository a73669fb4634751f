from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.contracts import Judged, Predictions
from mlframe.evaluators.columns import group_columns
from mlframe.evaluators.slices import SlicesEvaluator
from mlframe.table import ROW, Table, describe_columns
from mlframe.testing import make_judged, make_table


def planted(task: str, rows: int = 3_000, seed: int = 0) -> Judged:
    """Rows of plan 'basic' with fewer than 10 months are predicted badly; nothing else matters."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "plan": rng.choice(["basic", "plus", "pro"], rows),
            "months": rng.permutation(rows) % 40,
            "z": rng.random(rows),
        }
    )
    bad = ((frame["plan"] == "basic") & (frame["months"] < 10)).to_numpy()
    common = {"row_id": np.arange(rows, dtype=np.uint32), "fold": np.zeros(rows, dtype=np.int32)}
    weight = {"weight": rng.uniform(0.5, 2, rows)}
    if task == "regression":
        y = rng.normal(0, 1, rows)
        said = Predictions(pl.DataFrame({**common, "y": y, "y_pred": y + 0.3 + 2 * bad, **weight}), task, (), "folds")
    else:
        names = ("a", "b") if task == "binary" else ("a", "b", "c")
        y = rng.integers(0, len(names), rows)
        proba = np.full((rows, len(names)), 0.2 / (len(names) - 1))
        proba[np.arange(rows), np.where(bad, (y + 1) % len(names), y)] = 0.8
        label = np.array(names)
        said = Predictions(
            pl.DataFrame(
                {
                    **common,
                    "y": label[y],
                    "y_pred": label[proba.argmax(axis=1)],
                    **{f"p_{name}": proba[:, k] for k, name in enumerate(names)},
                    **weight,
                }
            ),
            task,
            names,
            "folds",
        )
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    return Judged(said, oof=said, oof_table=table)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_planted_slice_is_told_in_words(task: str) -> None:
    found = SlicesEvaluator(bins=4).evaluate(planted(task))
    first = found.findings[0]
    assert first.severity == "warning"
    assert "rows with plan = 'basic' and months below 10: " in first.text
    assert "elsewhere" in first.text
    assert first.column == "plan, months"
    table = found.tables["slices"]
    assert table["slice"][0] == "plan = 'basic' and months below 10"
    assert table["rows"][0] == pytest.approx(3_000 / 3 / 4, rel=0.2)
    assert ("observed" in table.columns) == (task != "multiclass")
    assert "plan = 'basic' and months below 10" in found.charts[0].svg.replace("&#x27;", "'")
    assert f"{table['rows'][0]} rows" in found.charts[0].alt


def test_ordinary_rows_say_that_nothing_stands_out() -> None:
    found = SlicesEvaluator().evaluate(make_judged("binary", 400))
    assert not found.charts
    assert "no group of 50 or more" in found.findings[0].text


def test_the_holdout_is_not_looked_at() -> None:
    judged = planted("binary")
    assert SlicesEvaluator().evaluate(Judged(judged.predictions, table=judged.oof_table)).findings == ()
    assert SlicesEvaluator().evaluate(replace(judged, pictures=False)).findings == ()


def test_weights_decide_what_a_slice_costs() -> None:
    judged = planted("regression")
    assert judged.oof is not None
    assert judged.oof_table is not None
    bad = judged.oof.frame.select((pl.col("y_pred") - pl.col("y")) > 1).to_series()
    spared = judged.oof.frame.with_columns(pl.when(bad).then(0.0).otherwise("weight").alias("weight"))
    found = SlicesEvaluator().evaluate(replace(judged, oof=replace(judged.oof, frame=spared)))
    assert "no group" in found.findings[0].text


def test_every_kind_of_column_becomes_groups_with_words() -> None:
    table = make_table(300)
    groups = group_columns(table, bins=4, categories=2, roles=("feature", "time", "group"))
    words = {item.name: [item.words(code) for code in range(len(item.labels))] for item in groups}
    assert words["colour"] == ["colour = 'red'", "colour = 'green'", "colour of any other value", "colour missing"]
    assert words["member"] == ["member = 'true'", "member = 'false'", "member missing"] or words["member"][2] == (
        "member missing"
    )
    assert words["amount"][0].startswith("amount below ")
    assert words["amount"][-1] == "amount missing"
    assert words["length of note"][-2].endswith("or more")
    assert words["weekday of ordered"][0] == "weekday of ordered = Monday"
    assert any(word.startswith("ordered from 2024-") for word in words["ordered"])
    assert "month of ordered" in words
    assert "owner" in words
    assert {item.column for item in groups} >= {"at", "note", "visits"}
    for item in groups:
        assert item.codes.shape == (300,)
        assert 0 <= item.codes.min() <= item.codes.max() < len(item.labels)


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["int", "float", "ties", "holes"]), bins=st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_the_words_of_a_group_are_true_of_its_rows(seed: int, kind: str, bins: int) -> None:
    rng = np.random.default_rng(seed)
    values = {
        "int": lambda: rng.integers(-20, 20, 200),
        "float": lambda: rng.integers(-2000, 2000, 200) / 8,  # written in full with six digits
        "ties": lambda: rng.poisson(0.5, 200),
        "holes": lambda: np.where(rng.random(200) < 0.2, np.nan, rng.integers(0, 50, 200)),
    }[kind]()
    frame = pl.DataFrame({"x": values})
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    for groups in group_columns(table, bins=bins, categories=5):
        for code, label in enumerate(groups.labels):
            inside = frame["x"].to_numpy().astype(float)[groups.codes == code]
            numbers = [float(word) for word in label.replace("= ", "").split() if word[-1].isdigit()]
            if label == "missing":
                assert np.isnan(inside).all()
            elif label.startswith("="):
                assert (inside == numbers[0]).all()
            elif label.startswith("below"):
                assert (inside < numbers[0]).all()
            elif label.startswith("from"):
                assert ((numbers[0] <= inside) & (inside < numbers[1])).all()
            else:
                assert (inside >= numbers[0]).all()


def test_numbers_keep_their_bounds() -> None:
    frame = pl.DataFrame({"x": [0.0] * 50 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, None], "flat": [1] * 58})
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    (x,) = group_columns(table, bins=4, categories=5)
    values = frame["x"].to_numpy()
    for code, label in enumerate(x.labels):
        inside = values[x.codes == code]
        if label.startswith("below "):
            assert (inside < float(label.split()[1])).all()
        elif label.endswith("or more"):
            assert (inside >= float(label.split()[1])).all()
        elif label == "missing":
            assert np.isnan(inside).all()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluators.slices.least=0", "slices: least must be 2 or more"),
        ("evaluators.slices.fdr=1", "slices: fdr must lie between 0 and 1"),
        ("evaluators.slices.top=0", "slices: top must be 1 or more"),
        ("evaluators.slices.error=cubic", "error must be one of 'absolute', 'squared'"),
        ("evaluators.slices.lest=3", "did you mean evaluators.slices.least?"),
    ],
)
def test_impossible_parameters_are_refused_at_the_door(run_cli, override: str, words: str) -> None:
    done = run_cli("plan", "data=churn", "evaluators=[classification,slices]", override)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err

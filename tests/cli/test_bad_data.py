"""Files that are no table, and tables from which nothing can be learned: refused by name, with nothing half-written."""

from __future__ import annotations

import gzip

import polars as pl
import pytest
from workbench import FAST, TABLE, Bench, make_csv, make_target, nothing_kept, refused

LINES = make_csv().splitlines()


def with_line(number: int, text: str) -> str:
    """Return the table with another line at a number, counted from 1."""
    return "\n".join([*LINES[: number - 1], text, *LINES[number:]]) + "\n"


def test_the_table_itself_is_good(bench: Bench):
    result = bench.train()
    assert (result.code, result.err) == (0, "")
    assert [version["reference"] for version in bench.versions()] == ["csv/1"]
    assert [run["status"] for run in bench.runs()] == ["finished"]


# ----------------------------------------------------------------------------------------------------- files


def test_a_missing_file(bench: Bench):
    bench.write(make_csv(), "mine.csv")
    result = bench.train("data.source.path=mime.csv")
    refused(result, "no such file", "'mime.csv'", "data.source.path", "did you mean 'mine.csv'")
    nothing_kept(bench, runs=1, files=frozenset({"my.csv", "mine.csv"}))


def test_an_empty_file(bench: Bench):
    bench.write("")
    refused(bench.train(), "empty", "'my.csv'", "data.source.path")
    nothing_kept(bench, runs=1)


def test_a_file_that_is_only_a_header(bench: Bench):
    bench.write(LINES[0] + "\n")
    refused(bench.train(), "no rows", "my.csv", "only a header")
    nothing_kept(bench, runs=1)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("30,2000,rome,yes,more", ("Line 6 has 5 fields", "the header has 4", "my.csv:6", "separator")),
        ("30,2000", ("Line 6 has 2 fields", "the header has 4", "my.csv:6")),
        ('30,2000,"rome,yes', ("Line 6", "never closed", "my.csv:6")),
    ],
    ids=["too long", "too short", "open quote"],
)
def test_a_broken_line(bench: Bench, line: str, words: tuple[str, ...]):
    bench.write(with_line(6, line))
    refused(bench.train(), *words)
    nothing_kept(bench, runs=1)


def test_a_wrong_encoding(bench: Bench):
    bench.write(with_line(6, "30,2000,köln,yes").encode("latin-1"))
    refused(bench.train(), "not utf-8", "line 6", "my.csv:6", "data.source.encoding=cp1252")
    nothing_kept(bench, runs=1)
    assert bench.train("data.source.encoding=cp1252").code == 0


def test_an_unknown_encoding(bench: Bench):
    refused(bench.train("data.source.encoding=utf-9"), "'utf-9'", "data.source.encoding", "latin-1")


def test_a_broken_archive(bench: Bench):
    whole = gzip.compress(make_csv().encode())
    bench.write(whole[: len(whole) // 2], "my.csv.gz")
    refused(bench.train("data.source.path=my.csv.gz"), "my.csv.gz")
    nothing_kept(bench, runs=1, files=frozenset({"my.csv", "my.csv.gz"}))


@pytest.mark.parametrize("damage", ["text", "cut", "changed"])
def test_a_corrupted_parquet_file(bench: Bench, damage: str):
    path = bench.folder / "my.parquet"
    pl.read_csv(bench.folder / "my.csv").write_parquet(path, compression="zstd")
    whole = path.read_bytes()
    middle = bytes([whole[len(whole) // 4] ^ 0xFF])
    parts = {
        "text": make_csv().encode(),
        "cut": whole[: len(whole) // 2],
        "changed": whole[: len(whole) // 4] + middle * 40 + whole[len(whole) // 4 + 40 :],
    }
    path.write_bytes(parts[damage])
    result = bench("data=parquet", "data.source.path=my.parquet", "data.columns.bought.role=target", *FAST, "name=csv")
    refused(result, "'my.parquet'", "data.source.path", "corrupted")
    nothing_kept(bench, runs=1, files=frozenset({"my.csv", "my.parquet"}))


def test_repeated_column_names(bench: Bench):
    bench.write(make_csv().replace("income", "age", 1))
    refused(bench.train(), "repeated", "'age'", "column 1 and 2", "my.csv")
    nothing_kept(bench, runs=1)


# ---------------------------------------------------------------------------------------------------- targets


def test_no_target_is_declared(bench: Bench):
    result = bench("data=csv", "data.source.path=my.csv", *FAST)
    refused(result, "No column has the role 'target'", "'data.columns.NAME.role=target'", "bought")
    refused(bench("plan", "data=csv", "data.source.path=my.csv", *FAST), "No column has the role 'target'")
    nothing_kept(bench, runs=1)


def test_a_target_that_is_not_in_the_data(bench: Bench):
    result = bench("data=csv", "data.source.path=my.csv", "data.columns.bougt.role=target", *FAST)
    refused(result, "'bougt'", "data.columns", "did you mean 'bought'", "income")
    nothing_kept(bench, runs=1)


def test_two_targets(bench: Bench):
    refused(bench.train("data.columns.city.role=target"), "2 columns have the role 'target'", "bought", "city")
    nothing_kept(bench, runs=1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda row: "yes", ("'bought'", "same in all rows", "'yes'", "data.columns.bought")),
        (lambda row: "", ("'bought'", "no value in any row", "null_tokens")),
        (lambda row: ["yes", "no", ""][row % 3], ("'bought'", "missing in 20 rows", "2, 5, 8", "labeler.missing=drop")),
        (lambda row: "inf" if row == 7 else row / 7, ("'bought'", "infinite in 1 row: 7", "finite")),
        (lambda row: "NaN" if row == 7 else row / 7, ("'bought'", "1 row", "7")),
    ],
    ids=["constant", "all missing", "some missing", "infinite", "not a number"],
)
def test_a_target_without_something_to_learn(bench: Bench, values, words: tuple[str, ...]):
    bench.write(make_target(values))
    refused(bench.train(), *words)
    nothing_kept(bench, runs=1)


def test_rows_without_target_can_be_left_out(bench: Bench):
    bench.write(make_target(lambda row: ["yes", "no", ""][row % 3]))
    result = bench.train("labeler.missing=drop")
    assert result.code == 0, result.err
    assert "20 rows have no target" in result.out


@pytest.mark.parametrize(
    ("column", "task", "words"),
    [
        ("bought", "regression", ("goal.task=regression", "'bought' is String", "binary")),
        ("age", "binary", ("goal.task=binary needs two classes", "'age' has", "multiclass")),
        ("share", "multiclass", ("'share' holds fractions", "goal.task=regression")),
    ],
)
def test_a_target_of_the_wrong_kind_for_the_task(bench: Bench, column: str, task: str, words: tuple[str, ...]):
    rows = "".join(f"{line},{number / 7}\n" for number, line in enumerate(LINES[1:]))
    bench.write(f"{LINES[0]},share\n{rows}")
    result = bench(
        "data=csv", "data.source.path=my.csv", f"data.columns.{column}.role=target", f"goal.task={task}", *FAST
    )
    refused(result, *words, f"data.columns.{column}")
    nothing_kept(bench, runs=1)


@pytest.mark.parametrize("splitter", ["holdout", "kfold", "stratified"])
def test_one_class_with_a_single_row(bench: Bench, splitter: str):
    bench.write(make_target(lambda row: "no" if row else "yes"))
    refused(bench.train(f"splitter={splitter}"), "'yes' has a single row", "splitter", "merge it")
    nothing_kept(bench, runs=1)


def test_a_target_that_is_an_id(bench: Bench):
    bench.write(make_target(lambda row: f"customer-{row}", rows=1500))
    refused(bench.train(), "'bought'", "1,500 classes", "data.columns.bought", "id")
    nothing_kept(bench, runs=1)


def test_too_few_rows_for_the_folds(bench: Bench):
    bench.write(make_target(lambda row: ["yes", "no"][row % 2], rows=5))
    refused(bench.train("splitter=stratified"), "splitter")
    nothing_kept(bench, runs=1)


# ----------------------------------------------------------------------------------------------------- values


def schema(check: str) -> str:
    return f"data.schema={{columns: {{age: {{dtype: int, checks: {{{check}}}}}}}}}"


@pytest.mark.parametrize("policy", ["drop", "quarantine"])
def test_all_rows_dropped_by_validation(bench: Bench, policy: str):
    result = bench.train(schema("ge: 1000"), f"validators.pandera.policy={policy}")
    refused(result, "No row passes the validator 'pandera'", "row 0, column age: ge(1000)", "data.schema")
    nothing_kept(bench, runs=1)


def test_rows_that_the_schema_refuses(bench: Bench):
    result = bench.train(schema("le: 30"))
    refused(result, "column age: le(30) fails for", "of 80 rows", "validators.pandera.policy=drop")
    assert "more" in result.err  # eighty lines would hide the rest of the text
    nothing_kept(bench, runs=1)


def test_a_schema_that_names_another_type(bench: Bench):
    result = bench.train("data.schema={columns: {city: {dtype: int}}}")
    refused(result, "column city", "validators.pandera")
    nothing_kept(bench, runs=1)


@pytest.mark.parametrize("model", ["linear", "lgbm", "dummy"])
def test_infinities(bench: Bench, model: str):
    bench.write(
        "age,bought\n" + "".join(f"{'inf' if r == 7 else r / 3},{'no' if r % 2 else 'yes'}\n" for r in range(60))
    )
    result = bench.train(f"model={model}")
    refused(result, "'age'", "1 infinite value", "row 7", "data.columns.age", "featurizer.infinite=missing")
    nothing_kept(bench, runs=1)
    assert bench.train(f"model={model}", "featurizer.infinite=missing").code == 0


def test_a_column_that_is_used_as_a_number_and_is_none(bench: Bench):
    refused(bench.train("data.columns.city.kind=numeric"), "'city'", "data.columns.city.kind", "categorical")
    nothing_kept(bench, runs=1)


def test_an_unknown_role_and_kind(bench: Bench):
    refused(bench.train("data.columns.age.role=featur"), "'featur'", "data.columns.age.role", "did you mean 'feature'")
    refused(bench.train("data.columns.age.kind=number"), "'number'", "data.columns.age.kind", "numeric")
    nothing_kept(bench)


def test_weights_for_a_model_that_takes_none(bench: Bench):
    result = bench.train("model=neighbors", "data.columns.income.role=weight")
    refused(result, "model=neighbors cannot take row weights", "role weight", "pick another model")
    nothing_kept(bench, runs=1)


def test_a_positive_class_that_is_none(bench: Bench):
    refused(bench.train("goal.positive=yess"), "no class 'yess'", "goal.positive", "did you mean 'yes'", "no, yes")
    nothing_kept(bench, runs=1)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["linear", "lgbm"])
def test_a_million_categories_in_bounded_memory(bench: Bench, model: str):
    rows = 1_000_000
    bounds = ("resources.memory=3GB", "resources.threads=1")
    lines = [f"c{row},{row % 97},{'no' if row * 7 % 13 < 6 else 'yes'}\n" for row in range(rows)]
    bench.write("code,x,bought\n" + "".join(lines))
    result = bench.train(f"model={model}", "data.columns.code.kind=categorical", *bounds)
    assert result.code == 0, result.err
    auc = bench.runs()[0]["summary"]["figures"]["holdout"]["roc_auc"]["value"]
    assert 0.48 < auc < 0.52  # codes that occur once tell nothing about other rows


@pytest.mark.parametrize(
    ("day", "hint"),
    [
        ("{:02d}/12/2024", "do:    parse it: 'data.source.times.day=\"%d/%m/%Y\"'"),
        ("2024-12-{:02d}", "do:    parse it: 'data.source.times.day=\"%Y-%m-%d\"'"),
        ("the {}th", "in the signs of strptime"),
    ],
)
@pytest.mark.parametrize("kind", ["", "data.columns.day.kind=datetime"])
def test_a_text_is_no_time_and_the_hint_names_its_format(bench: Bench, day: str, hint: str, kind: str):
    rows = "".join(f"{day.format(1 + row % 28)},{row % 7},{'yes' if row % 3 else 'no'}\n" for row in range(60))
    bench.write("day,age,bought\n" + rows)
    lines = ["data.columns.day.role=time", "splitter=time", "splitter.folds=2", *filter(None, [kind])]
    what = "declared as datetime, and the source gives text" if kind else "has no order in time"
    refused(bench.train(*lines), what, hint)
    if kind:
        refused(bench("plan", *TABLE, *FAST, *lines), what, hint)
    if "%" in hint:  # what the hint says is the cure
        cure = hint.partition("'")[2].rstrip("'")
        assert bench.train(*lines, cure).code == 0


def test_a_slip_in_a_tag_is_named_and_a_tag_of_ones_own_is_not(bench: Bench):
    words = ("There is no tag 'protectd'", "did you mean 'protected'?", "data.columns.age.tags")
    refused(bench.train("data.columns.age.tags=[protectd]"), *words)
    refused(bench.train("data.columns.age.tags=pii"), "The tags of a column are a list", "write [pii]")
    assert bench.train("data.columns.age.tags=[from_crm,pii]").code == 0

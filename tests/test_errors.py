import ast
import inspect
from pathlib import Path

import pytest

import mlframe
from mlframe import errors
from mlframe.errors import (
    ConfigError,
    DataError,
    MlframeError,
    ParameterError,
    Problems,
    StepError,
    StoreError,
    UnknownNameError,
    UserError,
    near_matches,
)

CLASSES = [item for _, item in inspect.getmembers(errors, inspect.isclass) if item.__module__ == errors.__name__]


def test_every_error_is_public_and_has_a_base():
    for item in CLASSES:
        assert issubclass(item, MlframeError)
        assert item.__name__ in errors.__all__


def test_exit_codes_tell_mistakes_from_failures():
    for item in CLASSES:
        assert item.exit_code == (2 if issubclass(item, UserError) else 1), item


@pytest.mark.parametrize("kind", [item for item in CLASSES if item is not Problems])
def test_text_says_what_value_where_and_what_to_do(kind: type[MlframeError]):
    error = kind("It broke", value="x" * 3, where="conf/a.yaml:3", hint="mend it")
    assert str(error) == "It broke\n  value: 'xxx'\n  from:  conf/a.yaml:3\n  do:    mend it"
    assert (error.what, error.value, error.where, error.hint) == ("It broke", "xxx", "conf/a.yaml:3", "mend it")


def test_a_value_of_none_is_shown_and_an_absent_one_is_not():
    assert "value: None" in str(DataError("It broke", value=None))
    assert str(DataError("It broke")) == "It broke"


def test_long_values_are_cut():
    text = str(DataError("It broke", value="a" * 10_000))
    assert len(text) < 400
    assert "10002 characters" in text


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigError, ValueError),
        (UnknownNameError, LookupError),
        (ParameterError, TypeError),
        (DataError, ValueError),
        (errors.PluginError, ImportError),
        (StoreError, OSError),
        (StepError, RuntimeError),
        (errors.LimitError, TimeoutError),
    ],
)
def test_callers_may_catch_the_builtin(kind: type[MlframeError], builtin: type[Exception]):
    assert issubclass(kind, builtin)


def test_unknown_name_shows_near_matches_and_what_there_is():
    error = UnknownNameError.from_name("model", "lgmb", ["lgbm", "linear"], where="model", remedy="look")
    assert "There is no model 'lgmb'" in str(error)
    assert "did you mean 'lgbm'?" in str(error)
    assert "available: lgbm, linear" in str(error)
    assert "look" in str(error)


def test_numbers_stand_by_size_behind_words():
    error = UnknownNameError.from_name("alarm", "7", ["10", "2", "last", "1"])
    assert "available: last, 1, 2, 10" in str(error)


def test_many_names_are_not_listed():
    assert "available" not in str(UnknownNameError.from_name("model", "zzz", [f"name{i}" for i in range(100)]))


def test_parameter_errors_name_component_and_types():
    unknown = ParameterError.unknown("model=lgbm", "leafs", ["leaves", "depth"], where="model.leafs")
    assert "model=lgbm has no parameter 'leafs'" in str(unknown)
    assert "did you mean 'leaves'" in str(unknown)
    wrong = ParameterError.wrong_type("model=lgbm", "depth", "three", "int", where="model.depth")
    assert "must be int, got str" in str(wrong)


def test_problems_are_numbered_in_order():
    text = str(Problems([DataError("First", hint="do this"), ConfigError("Second")]))
    assert text.splitlines() == [
        "2 problems found before anything was read:",
        "  1. First",
        "     do:    do this",
        "  2. Second",
    ]
    assert "1 problem found" in str(Problems([DataError("Only")]))


def test_near_matches_ignore_case_and_keep_the_real_name():
    assert near_matches("LGBM", ["lgbm", "linear"]) == ["lgbm"]
    assert near_matches("xyz", ["lgbm"]) == []


MISTAKES = {"UserError", "ConfigError", "ParameterError", "DataError"}


@pytest.mark.parametrize("file", sorted(Path(mlframe.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_every_mistake_of_a_user_says_what_to_do(file: Path):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MISTAKES:
            words = {word.arg for word in node.keywords}  # None: whatever another process handed over
            assert words & {"hint", None}, f"{file}:{node.lineno} has no hint"

"""Conformance of a featurizer (hook `mlframe_featurizers`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import scipy.sparse as sp
from polars.testing import assert_frame_equal

from mlframe.contracts import Features, Featurizer, Wants
from mlframe.errors import DataError
from mlframe.pipeline.inputs import plain_columns
from mlframe.registry import Registered, Registry
from mlframe.table import Table
from mlframe.testing.data import make_table, make_target
from mlframe.testing.suite import Suite

__all__ = ["FeaturizerSuite"]

WANTS = {
    "nothing": Wants(),
    "sparse": Wants(sparse=True),
    "missing": Wants(missing=True),
    "categories": Wants(missing=True, categories=True),
    "all": Wants(sparse=True, missing=True, categories=True),
    "nonnegative": Wants(sparse=True, nonnegative=True),
}
HARD = {"numeric": 1e300, "categorical": "never seen", "text": "", "datetime": datetime(1901, 1, 1), "boolean": True}


class FeaturizerSuite(Suite):
    """A featurizer learns from its train rows alone, and meets every row at prediction time without an error.

    Override `component`, and `table` where the featurizer takes only some kinds of columns.
    """

    group = "featurizer"

    @pytest.fixture
    def table(self) -> Table:
        """Return rows with columns that the featurizer takes, a target `label` of two classes among them."""
        return make_table()

    @pytest.fixture(params=list(WANTS.values()), ids=list(WANTS))
    def wants(self, request: pytest.FixtureRequest) -> Wants:
        """Give what an estimator can take."""
        return request.param  # type: ignore[no-any-return]

    @pytest.fixture
    def fitted(
        self, registry: Registry, item: Registered, node: dict[str, Any], table: Table, wants: Wants
    ) -> Callable[..., Featurizer]:
        """Give a function that fits the featurizer anew on the first 80 rows, or on those of another table."""

        def fit(rows: Table = table) -> Featurizer:
            made = registry.create(self.group, node)
            assert isinstance(made, Featurizer)
            train = rows.take(np.arange(80))
            made.fit(train, make_target(train, "binary"), wants)
            return made

        return fit

    def test_features_are_described(self, fitted: Callable[..., Featurizer], table: Table, wants: Wants) -> None:
        features = fitted().transform(table.frame)
        _check_form(features, len(table), wants)
        assert set(features.origins) <= {column.name for column in table.features}, "only role feature may be used"

    def test_fit_and_transform_change_no_input(self, fitted: Callable[..., Featurizer], table: Table) -> None:
        before = table.frame.clone()
        fitted().transform(table.frame)
        assert_frame_equal(table.frame, before)

    def test_two_fits_are_equal(self, fitted: Callable[..., Featurizer], table: Table) -> None:
        first, second = fitted().transform(table.frame), fitted().transform(table.frame)
        assert first.names == second.names
        np.testing.assert_array_equal(_dense(first), _dense(second))

    def test_other_roles_teach_nothing(self, fitted: Callable[..., Featurizer], table: Table) -> None:
        others = [c.name for c in table.columns if c.role not in ("feature", "target")]
        mixed = table.frame.with_columns(pl.col(name).reverse() for name in others)
        only = table.frame.select(column.name for column in table.features)
        plain = _dense(fitted().transform(table.frame))
        np.testing.assert_array_equal(plain, _dense(fitted(table.with_frame(mixed)).transform(mixed)))
        np.testing.assert_array_equal(plain, _dense(fitted().transform(only)))

    def test_a_row_does_not_depend_on_its_neighbours(self, fitted: Callable[..., Featurizer], table: Table) -> None:
        featurizer = fitted()
        whole = _dense(featurizer.transform(table.frame))
        single = np.vstack([_dense(featurizer.transform(table.frame[row : row + 1])) for row in (0, 79, 80, 119)])
        np.testing.assert_allclose(single, whole[[0, 79, 80, 119]], rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(whole, _dense(featurizer.transform(table.frame)))

    def test_order_of_columns_does_not_matter(self, fitted: Callable[..., Featurizer], table: Table) -> None:
        featurizer = fitted()
        turned = table.frame.select(reversed(table.frame.columns))
        np.testing.assert_array_equal(_dense(featurizer.transform(table.frame)), _dense(featurizer.transform(turned)))

    def test_unseen_missing_and_extreme_values(
        self, fitted: Callable[..., Featurizer], table: Table, wants: Wants
    ) -> None:
        featurizer = fitted()
        for row in (
            table.frame[:3].with_columns(
                pl.lit(None, table.frame.schema[c.name]).alias(c.name) for c in table.features
            ),
            table.frame[:3].with_columns(_hard(table.frame, c.name, c.kind) for c in table.features),
        ):
            features = featurizer.transform(row)
            _check_form(features, 3, wants)
            assert features.names == featurizer.transform(table.frame).names

    def test_plain_values_become_the_same_matrix(self, fitted: Callable[..., Featurizer], table: Table) -> None:
        featurizer = fitted()
        if not hasattr(featurizer, "plain"):
            return
        records = [record for record in table.column_records() if record["role"] == "feature"]
        frame, schema = table.frame, table.frame.schema
        missing = frame[:3].with_columns(pl.lit(None, schema[c.name]).alias(c.name) for c in table.features)
        hard = frame[:3].with_columns(_hard(frame, c.name, c.kind) for c in table.features)
        for rows in (frame, frame[:1], frame[79:80], missing, hard, frame.clear()):
            plain = featurizer.plain(plain_columns(rows, records), len(rows))
            if plain is None:  # these rows are left to transform
                continue
            whole = featurizer.transform(rows).matrix
            assert sp.issparse(plain) == sp.issparse(whole)
            assert plain.dtype == whole.dtype
            dense = _dense(Features(plain, (), ()))
            np.testing.assert_allclose(dense, _dense(Features(whole, (), ())), rtol=1e-12, atol=1e-12)

    def test_no_rows(self, fitted: Callable[..., Featurizer], table: Table, wants: Wants) -> None:
        _check_form(fitted().transform(table.frame.clear()), 0, wants)

    def test_train_columns_without_values(self, fitted: Callable[..., Featurizer], table: Table, wants: Wants) -> None:
        empty = table.with_frame(
            table.frame.with_columns(pl.lit(None, table.frame.schema[c.name]).alias(c.name) for c in table.features[:1])
        )
        try:
            featurizer = fitted(empty)
        except DataError:
            assert len(table.features) == 1, "the other columns can be learned from"
            return
        _check_form(featurizer.transform(table.frame), len(table), wants)

    def test_saved_without_pickle(self, fitted: Callable[..., Featurizer], table: Table, registry: Registry) -> None:
        import skops.io

        featurizer = fitted()
        saved = skops.io.dumps(featurizer)
        untrusted = set(skops.io.get_untrusted_types(data=saved))
        assert untrusted <= registry.trusted_types(), "name these in Component(trusted=…), or keep simpler attributes"
        loaded = skops.io.loads(saved, trusted=sorted(untrusted))
        before, after = featurizer.transform(table.frame), loaded.transform(table.frame)
        assert (before.names, before.origins, before.categorical) == (after.names, after.origins, after.categorical)
        np.testing.assert_array_equal(_dense(before), _dense(after))


def _check_form(features: Features, rows: int, wants: Wants) -> None:
    assert isinstance(features, Features)
    matrix: Any = features.matrix
    assert matrix.shape == (rows, len(features.names))
    assert len(features.names) > 0, "no feature came out"
    assert matrix.dtype in (np.float32, np.float64)
    assert len(set(features.names)) == len(features.names), "feature names must be unique"
    assert len(features.origins) == len(features.names)
    if sp.issparse(matrix):
        assert wants.sparse, "the estimator takes no sparse matrix"
        assert matrix.format == "csr"
    dense = _dense(features)
    assert not np.isinf(dense).any(), "no estimator takes infinities"
    categorical = set(features.categorical)
    assert not categorical or wants.categories, "the estimator takes no category codes"
    assert categorical <= set(range(len(features.names)))
    plain = [index for index in range(dense.shape[1]) if index not in categorical]
    assert wants.missing or not np.isnan(dense[:, plain]).any(), "the estimator takes no missing values"
    codes = dense[:, sorted(categorical)]
    codes = codes[~np.isnan(codes)]
    assert (codes >= 0).all()
    assert (codes == np.round(codes)).all()
    if wants.nonnegative:
        assert (np.nan_to_num(dense) >= 0).all(), "the estimator takes no negative values"


def _dense(features: Features) -> npt.NDArray[Any]:
    matrix: Any = features.matrix
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def _hard(frame: pl.DataFrame, name: str, kind: str) -> pl.Expr:
    dtype = frame.schema[name]
    value = 2**31 - 1 if dtype.is_integer() else HARD[kind]
    return pl.lit(value).cast(dtype, strict=False).alias(name)

"""Built-in models. Nothing heavy is imported before one is picked."""

from __future__ import annotations

from mlframe import Component, hookimpl

__all__ = ["mlframe_models"]

CHECK = "mlframe.models.checks:constraints"

SPARSE = "scipy.sparse._csr.csr_matrix"
"""What models that keep train rows hold of sparse ones: plain arrays, read without pickle."""


def _both(classifier: str, regressor: str) -> dict[str, str]:
    return {"classification": classifier, "regression": regressor}


@hookimpl
def mlframe_models() -> list[Component]:
    """Offer the built-in models."""
    return [
        Component(
            "lgbm",
            _both("lightgbm.sklearn:LGBMClassifier", "lightgbm.sklearn:LGBMRegressor"),
            "Gradient boosting (LightGBM): early stopping, native categories, missing values, sparse text",
            adapter="mlframe.models.lgbm:LgbmAdapter",
            trusted=("collections.OrderedDict", "lightgbm.basic.Booster"),
            parameters=("deterministic", "extra_trees", "force_col_wise", "max_bin", "verbosity"),
            check="mlframe.models.lgbm:check",
        ),
        Component(
            "linear",
            _both("mlframe.models.linear:LinearClassifier", "sklearn.linear_model:Ridge"),
            "Logistic regression, ridge regression",
            adapter="mlframe.models.linear:LinearAdapter",
            check=CHECK,
        ),
        Component(
            "forest",
            _both("sklearn.ensemble:RandomForestClassifier", "sklearn.ensemble:RandomForestRegressor"),
            "Random forest",
            adapter="mlframe.models.forest:ForestAdapter",
            check=CHECK,
        ),
        Component(
            "extra_trees",
            _both("sklearn.ensemble:ExtraTreesClassifier", "sklearn.ensemble:ExtraTreesRegressor"),
            "Forest of trees whose cuts are drawn at random",
            adapter="mlframe.models.forest:ForestAdapter",
            check=CHECK,
        ),
        Component(
            "boosting",
            _both("sklearn.ensemble:HistGradientBoostingClassifier", "sklearn.ensemble:HistGradientBoostingRegressor"),
            "Gradient boosting (scikit-learn's histograms): early stopping, native categories, missing values",
            adapter="mlframe.models.boosting:BoostingAdapter",
            check=CHECK,
        ),
        Component(
            "bayes",
            _both("sklearn.naive_bayes:GaussianNB", "sklearn.linear_model:BayesianRidge"),
            "Gaussian naive Bayes, Bayesian ridge regression",
            adapter="mlframe.models.partial:PartialAdapter",
            check=CHECK,
        ),
        Component(
            "neighbors",
            _both("sklearn.neighbors:KNeighborsClassifier", "sklearn.neighbors:KNeighborsRegressor"),
            "Nearest neighbours",
            trusted=(
                "sklearn.metrics._dist_metrics.EuclideanDistance64",
                "sklearn.metrics._dist_metrics.ManhattanDistance64",
                "sklearn.metrics._dist_metrics.MinkowskiDistance64",
                "sklearn.neighbors._ball_tree.BallTree",
                "sklearn.neighbors._kd_tree.KDTree",
                SPARSE,
            ),
            check=CHECK,
        ),
        Component(
            "svm",
            _both("mlframe.models.svm:SvmClassifier", "mlframe.models.svm:SvmRegressor"),
            "Support vector machine, linear or with a Gaussian kernel, with calibrated probabilities",
            trusted=(
                "sklearn.calibration._CalibratedClassifier",
                "sklearn.calibration._SigmoidCalibration",
                "sklearn.model_selection._split.StratifiedKFold",
                SPARSE,
            ),
            check=CHECK,
        ),
        Component(
            "mlp",
            _both("sklearn.neural_network:MLPClassifier", "mlframe.models.mlp:ScaledMlpRegressor"),
            "Small neural network",
            adapter="mlframe.models.partial:PartialAdapter",
            trusted=(
                "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
                "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
            ),
            check=CHECK,
        ),
        Component(
            "dummy",
            _both("sklearn.dummy:DummyClassifier", "sklearn.dummy:DummyRegressor"),
            "No learning: the class shares, or the mean; what every model must beat",
            check=CHECK,
        ),
        Component(
            "sklearn",
            _both("mlframe.models.by_name:classifier", "mlframe.models.by_name:regressor"),
            "Any classifier or regressor of scikit-learn by its class name",
            adapter="mlframe.models.by_name:ByNameAdapter",
            check="mlframe.models.by_name:check",
        ),
    ]

"""Every hook of mlframe: the reference for plugin authors.

A plugin is a module (or any object) with functions marked `@mlframe.hookimpl` and named as below. An installed plugin is
found through the entry-point group `mlframe`; `mlframe_project.py` in the working directory is loaded as the plugin
`project`. Implementations may leave out arguments that they do not use, and give no argument a default.

Registration hooks answer "what do you offer?". They are called once a process, while the command line is read, in the
order of the plugins' names; they return a list of `mlframe.Component` and do no work: a component names its class as
text and is imported only when a config picks it. An exception in one takes that plugin out, is reported with the
plugin's name and version, and leaves everything else working.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from mlframe.contracts import RunInfo
    from mlframe.registry import Component

hookspec = pluggy.HookspecMarker("mlframe")
hookimpl = pluggy.HookimplMarker("mlframe")


# ------------------------------------------------------------------------------------------------ registration hooks


@hookspec
def mlframe_sources() -> list[Component]:  # type: ignore[empty-body]
    """Offer sources of rows: subclasses of `mlframe.contracts.Source`, config group `data/source`.

    `read()` gives a frame, `fingerprint()` tells cheaply whether the data changed. Both run in the run's process, in
    the step `ingest`.

    Returns:
        Components; a target is called with the parameters of `data.source`.
    """


@hookspec
def mlframe_validators() -> list[Component]:  # type: ignore[empty-body]
    """Offer checks of rows: subclasses of `mlframe.contracts.Validator`, config group `validators`.

    Called in the step `verify`, one after the other in the order of the config, and on the input of `predict`.

    Returns:
        Components; a target is called with the parameters of `validators.<key>`.
    """


@hookspec
def mlframe_labelers() -> list[Component]:  # type: ignore[empty-body]
    """Offer ways to give rows a target: subclasses of `mlframe.contracts.Labeler`, config group `labeler`.

    Called in the step `label`. Only rows whose `label_source` is `column` or `manual` may enter the holdout.

    Returns:
        Components; a target is called with the parameters of `labeler`.
    """


@hookspec
def mlframe_splitters() -> list[Component]:  # type: ignore[empty-body]
    """Offer ways to cut rows into folds and holdout: subclasses of `mlframe.contracts.Splitter`, group `splitter`.

    Called in the step `split`; `cut` is called in `fit` for models that stop early.

    Returns:
        Components; a target is called with the parameters of `splitter`.
    """


@hookspec
def mlframe_explorers() -> list[Component]:  # type: ignore[empty-body]
    """Offer first looks at the data: subclasses of `mlframe.contracts.Explorer`, config group `explorer`.

    Called in the step `explore`, on development rows only.

    Returns:
        Components; a target is called with the parameters of `explorer`.
    """


@hookspec
def mlframe_featurizers() -> list[Component]:  # type: ignore[empty-body]
    """Offer ways to turn columns into numbers: subclasses of `mlframe.contracts.Featurizer`, group `featurizer`.

    Fitted in the steps `fit` and `refit`, on the train rows of one fold at a time.

    Returns:
        Components; a target is called with the parameters of `featurizer`. Types that a fitted featurizer holds, beside
        numpy's and scikit-learn's, are named in `trusted`.
    """


@hookspec
def mlframe_models() -> list[Component]:  # type: ignore[empty-body]
    """Offer estimators with scikit-learn's interface, config group `model`.

    An estimator gets a numpy or CSR matrix and codes 0..K-1 or values. What scikit-learn's interface cannot say
    (validation rows, categories, rounds, a save format of its own) is said by an `adapter`, see
    `mlframe.contracts.Adapter`.

    Returns:
        Components; the target is one address, or one for each of `classification` and `regression`. Parameters
        named like a seed or a number of threads are filled from `seed` and `resources.threads`.
    """


@hookspec
def mlframe_ensemblers() -> list[Component]:  # type: ignore[empty-body]
    """Offer ways to make one candidate of several fits, config group `ensembler`.

    Subclasses of `mlframe.contracts.Wrapper` fit the picked model several times in each fold, behind the fold's
    featurizer; subclasses of `mlframe.contracts.Combiner` combine members, each a model config, by their out-of-fold
    outputs. Asked in the steps `fit` and `refit`.

    Returns:
        Components; a target is called with the parameters of `ensembler`. Parameters that hold nodes of models are named
        in `holds`, so that these are checked too.
    """


@hookspec
def mlframe_evaluators() -> list[Component]:  # type: ignore[empty-body]
    """Offer judges of predictions: subclasses of `mlframe.contracts.Evaluator`, config group `evaluators`.

    `declares` is called before data is read, so that `goal.metric` and `goal.targets` can be checked; `evaluate` in the
    steps `score` (out-of-fold rows, no pictures) and `evaluate` (holdout).

    Returns:
        Components; a target is called with the parameters of `evaluators.<key>`. Two evaluators of one run must not
        declare one figure.
    """


@hookspec
def mlframe_reporters() -> list[Component]:  # type: ignore[empty-body]
    """Offer writers of files for people: subclasses of `mlframe.contracts.Reporter`, config group `reporters`.

    Called in the step `report`, after everything else is known.

    Returns:
        Components; a target is called with the parameters of `reporters.<key>`.
    """


@hookspec
def mlframe_deployers() -> list[Component]:  # type: ignore[empty-body]
    """Offer ways to deploy a version: subclasses of `mlframe.contracts.Deployer`, config group `deployer`.

    Called in the step `deploy`, in the run's process: `deploy` once, then `attend` for as long as something runs.

    Returns:
        Components; a target is called with the parameters of `deployer`.
    """


@hookspec
def mlframe_monitors() -> list[Component]:  # type: ignore[empty-body]
    """Offer watchers of a model at work: subclasses of `mlframe.contracts.Monitor`, config group `monitors`.

    Called in the step `monitor`, once for each window of the prediction log, a file or a table.

    Returns:
        Components; a target is called with the parameters of `monitors.<key>`. Two monitors of one run must not declare
        one figure.
    """


@hookspec
def mlframe_notifiers() -> list[Component]:  # type: ignore[empty-body]
    """Offer ways to tell people: subclasses of `mlframe.contracts.Notifier`, config group `notifiers`.

    Called when an alarm is new, worse or over, and when a decision was taken about a model. One that fails is reported,
    and told again the next time; it stops nothing.

    Returns:
        Components; a target is called with the parameters of `notifiers.<key>`.
    """


@hookspec
def mlframe_trackers() -> list[Component]:  # type: ignore[empty-body]
    """Offer records kept elsewhere: subclasses of `mlframe.contracts.Tracker`, config group `trackers`.

    The runner builds and opens one a run and closes it whatever happens; in a multirun, one a job.

    Returns:
        Components; a target is called with the parameters of `trackers.<key>`.
    """


@hookspec
def mlframe_steps() -> list[Component]:  # type: ignore[empty-body]
    """Offer steps: subclasses of `mlframe.contracts.Step`. A task file lists a step by its name.

    Where it runs follows from what it needs and gives.

    Returns:
        Components; a target is called with the options that the task file gives the step.
    """


@hookspec
def mlframe_config() -> list[str]:  # type: ignore[empty-body]
    """Offer folders of config files, as `pkg://package.conf` (a package: it holds an `__init__.py`).

    Files in `<group>/<name>.yaml` become options of that group. They may hold no `hydra` key, no `_target_` and no
    `_args_`. They are searched after the user's `conf/` and mlframe's own.

    Returns:
        Addresses that begin with `pkg://`.
    """


# ------------------------------------------------------------------------------------------------ events


@hookspec
def mlframe_before_step(run: RunInfo, step: str) -> None:
    """Called in the run's process before a step runs; not for steps that the cache answers.

    Args:
        run: the run.
        step: the step's name.

    An exception stops the run and names the plugin.
    """


@hookspec
def mlframe_after_step(run: RunInfo, step: str, seconds: float, cached: bool) -> None:
    """Called in the run's process after a step gave its artifacts.

    Args:
        run: the run.
        step: the step's name.
        seconds: wall time.
        cached: whether the artifacts were read from the cache.

    An exception stops the run and names the plugin.
    """


@hookspec
def mlframe_on_step_error(run: RunInfo, step: str, error: BaseException) -> None:
    """Called in the run's process when a step failed or was interrupted, before trackers are closed.

    Args:
        run: the run.
        step: the step's name.
        error: what was raised.

    An exception is added to the error as a note; the step's own error is what the user sees.
    """


@hookspec
def mlframe_after_run(run: RunInfo, status: str, summary: Mapping[str, Any]) -> None:
    """Called in the run's process at the end of every run, after trackers are closed.

    Args:
        run: the run.
        status: `finished`, `failed` or `interrupted`.
        summary: figures, gate verdict, version, durations: what `mlframe show` prints.

    An exception is reported; the run's outcome stays.
    """

import textwrap

import pytest
from omegaconf import OmegaConf

from mlframe import Component
from mlframe.errors import ParameterError, PluginError, StepError, UnknownNameError
from mlframe.registry import Registered, Registry, signature_node

SOURCE = """
from typing import Literal

class Plain:
    def __init__(self, size: int = 3, mode: Literal["a", "b"] = "a", ratio: float | None = None, random_state=None,
                 n_jobs=1, alpha=1.0):
        self.passed = dict(size=size, mode=mode, ratio=ratio, random_state=random_state, n_jobs=n_jobs, alpha=alpha)

class Needs:
    def __init__(self, path: str): self.path = path

class Open:
    def __init__(self, **kwargs): self.passed = kwargs

class Fails:
    def __init__(self): raise RuntimeError("no luck")

class Other:
    def __init__(self, size: int = 5, depth: int = 2): self.passed = dict(size=size, depth=depth)

def check(target, parameters):
    return ["alpha must not be negative"] if parameters.get("alpha", 0) < 0 else []
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    tmp_path.joinpath("registry_parts.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry()
    for component in (
        Component("plain", "registry_parts:Plain", "x", check="registry_parts:check"),
        Component("needs", "registry_parts:Needs", "x"),
        Component("open", "registry_parts:Open", "x", parameters=("depth",)),
        Component("fails", "registry_parts:Fails", "x"),
        Component("both", {"classification": "registry_parts:Plain", "regression": "registry_parts:Other"}, "x"),
        Component("classifier", {"classification": "registry_parts:Plain"}, "x"),
        Component("gone", "registry_parts:Absent", "x"),
        Component("nowhere", "no_such_module_here:X", "x"),
    ):
        registry.add(Registered(component, "model", "mine", "mlframe-mine", "1.2"))
    return registry


def bind(registry, task=None, **node):
    return [str(error) for error in registry.bind("model", node, where="model", task=task)]


def test_names_are_sorted_and_found(parts):
    assert parts.names("model") == sorted(parts.names("model"))
    assert parts.get("model", "plain").origin == "mlframe-mine 1.2"
    assert [item.component.name for item in parts] == parts.names("model")
    assert parts.names("splitter") == []


def test_unknown_name_shows_near_matches(parts):
    with pytest.raises(UnknownNameError, match="did you mean 'plain'"):
        parts.get("model", "plane")


def test_one_name_twice_is_refused_with_both_owners(parts):
    other = Registered(Component("plain", "a:B", "x"), "model", "theirs", "mlframe-theirs", "0.1")
    with pytest.raises(PluginError, match=r"mlframe-mine 1\.2.*mlframe-theirs 0\.1") as caught:
        parts.add(other)
    assert "plugins.block=[theirs]" in str(caught.value)
    parts.add(Registered(Component("plain", "a:B", "x"), "splitter", "theirs", None, None))


def test_only_values_unlike_the_default_are_passed(parts):
    made = parts.create("model", {"name": "open", "depth": 3})
    assert made.passed == {"depth": 3}
    made = parts.create("model", {"name": "plain", "size": 3, "alpha": 2.0})
    assert made.passed["alpha"] == 2.0


def test_every_mistake_is_found_at_once(parts):
    errors = bind(parts, name="plain", siez=1, size="three", mode="c", ratio="x")
    assert len(errors) == 4
    assert any("did you mean 'size'" in text for text in errors)
    assert any("must be int, got str" in text for text in errors)
    assert any("one of 'a', 'b'" in text for text in errors)
    assert any("float or null" in text for text in errors)


@pytest.mark.parametrize("node", [{"ratio": 1}, {"ratio": None}, {"size": 0}, {"mode": "b"}, {"alpha": 3}])
def test_what_fits_is_taken(parts, node):
    assert bind(parts, name="plain", **node) == []


@pytest.mark.parametrize("node", [{"size": True}, {"size": 1.5}, {"alpha": "1"}])
def test_what_cannot_fit_is_refused(parts, node):
    assert len(bind(parts, name="plain", **node)) == 1


def test_a_required_parameter_must_be_there(parts):
    assert "needs path" in bind(parts, name="needs")[0]
    assert bind(parts, name="needs", path="x") == []


def test_declared_names_of_open_constructors_are_held(parts):
    assert bind(parts, name="open", depth=1) == []
    assert "has no parameter 'dept'" in bind(parts, name="open", dept=1)[0]


def test_a_components_own_check_speaks(parts):
    assert "alpha must not be negative" in bind(parts, name="plain", alpha=-1.0)[0]


def test_families_have_their_own_parameters(parts):
    node = {"name": "both", "size": 9, "classification": {"alpha": 2.0}, "regression": {"depth": 7}}
    assert bind(parts, task="binary", **node) == []
    assert bind(parts, task="regression", **node) == []
    assert parts.create("model", node, task="regression").passed == {"size": 9, "depth": 7}
    assert parts.create("model", node, task="multiclass").passed["alpha"] == 2.0


def test_a_task_that_a_model_cannot_do_is_refused(parts):
    assert "cannot do regression" in bind(parts, task="regression", name="classifier")[0]


@pytest.mark.parametrize("name", ["gone", "nowhere"])
def test_what_cannot_be_imported_names_the_plugin(parts, name):
    assert "mlframe-mine 1.2" in bind(parts, name=name)[0]
    with pytest.raises(PluginError, match="cannot be imported"):
        parts.create("model", {"name": name})


def test_a_constructor_that_fails_is_a_failure_of_the_component(parts):
    with pytest.raises(StepError, match="no luck") as caught:
        parts.create("model", {"name": "fails"})
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_node_from_the_signature(parts):
    node = signature_node(parts.get("model", "plain"))
    wanted = {"size": 3, "mode": "a", "ratio": None, "random_state": "${seed}", "n_jobs": "${resources.threads}"}
    assert node == {"name": "plain", **wanted, "alpha": 1.0}
    assert signature_node(parts.get("model", "needs")) == {"name": "needs", "path": "???"}
    both = signature_node(parts.get("model", "both"))
    assert both["regression"] == {"size": 5, "depth": 2}
    assert both["classification"]["size"] == 3
    OmegaConf.create(both)


def test_trusted_types_are_targets_and_what_plugins_name():
    registry = Registry()
    registry.add(Registered(Component("a", "pkg.mod:Class", "x", trusted=("pkg.Tree",)), "model", "p", None, None))
    assert registry.trusted_types() == {"pkg.mod.Class", "pkg.Tree"}


def test_errors_of_binding_say_where(parts):
    errors = parts.bind("model", {"name": "plain", "siez": 1}, where="ensembler.members.a")
    assert isinstance(errors[0], ParameterError)
    assert errors[0].where == "ensembler.members.a.siez"

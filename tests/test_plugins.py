import sys

import pytest

from mlframe.errors import PluginError, UnknownNameError
from mlframe.plugins import BUILTIN, load_plugins

OFFER = """
import mlframe
@mlframe.hookimpl
def mlframe_models():
    return [mlframe.Component("{name}", "some.module:Thing", "A thing")]
"""


def test_built_ins_come_through_the_same_hooks(plugins):
    for name in BUILTIN:
        record = plugins.records[name]
        assert (record.status, record.distribution) == ("loaded", "mlframe"), record.error
        assert record.hooks, f"{name} implements no hook"
    assert [problem for problem in plugins.problems if "(mlframe " in str(problem)] == []


def test_an_installed_plugin_is_found_with_its_version(install_plugin):
    install_plugin("mine", OFFER.format(name="my_thing"), version="2.5")
    loaded = load_plugins()
    record = loaded.records["mine"]
    assert (record.status, record.distribution, record.version) == ("loaded", "mlframe-mine", "2.5")
    assert loaded.registry.get("model", "my_thing").origin == "mlframe-mine 2.5"
    assert "some" not in sys.modules, "a target is imported only when picked"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("def broken(:", "SyntaxError"),
        (OFFER.format(name="x").replace("return [", "raise ValueError('in hook'); return ["), "ValueError: in hook"),
        (OFFER.format(name="x").replace("mlframe_models", "mlframe_modles"), "did you mean 'mlframe_models'"),
        (
            OFFER.format(name="x").replace('[mlframe.Component("x", "some.module:Thing", "A thing")]', "['x']"),
            "TypeError",
        ),
        ("import mlframe\n@mlframe.hookimpl\ndef mlframe_config():\n    return ['conf']", "pkg://"),
        ("import mlframe\n@mlframe.hookimpl\ndef mlframe_before_step(run, stage):\n    pass", "stage"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_rest_works(install_plugin, source, error):
    install_plugin("broken", source, version="0.3")
    install_plugin("good", OFFER.format(name="good_thing"))
    loaded = load_plugins()
    record = loaded.records["broken"]
    assert record.status == "failed"
    assert error in record.error
    (problem,) = [problem for problem in loaded.problems if "'broken'" in str(problem)]
    assert "mlframe-broken 0.3" in str(problem)
    assert error in str(problem)
    assert "plugins.block=[broken]" in str(problem)
    assert problem.__cause__ is not None
    assert "good_thing" in loaded.registry.names("model")
    assert not loaded.manager.has_plugin("broken"), "its event hooks must not be called"
    assert loaded.registry.names("splitter"), "built-ins still work"


def test_hooks_may_leave_out_arguments(install_plugin):
    install_plugin(
        "listener",
        "import mlframe\ncalls = []\n@mlframe.hookimpl\ndef mlframe_before_step(step):\n    calls.append(step)\n",
    )
    loaded = load_plugins()
    assert loaded.records["listener"].status == "loaded", loaded.records["listener"].error
    loaded.hook.mlframe_before_step(run=None, step="fit")
    assert loaded.manager.get_plugin("listener").calls == ["fit"]


def test_block_and_only(install_plugin):
    install_plugin("one", OFFER.format(name="first_thing"))
    install_plugin("two", OFFER.format(name="second_thing"))
    blocked = load_plugins(block=["one"])
    assert blocked.records["one"].status == "blocked"
    assert "first_thing" not in blocked.registry.names("model")
    assert "second_thing" in blocked.registry.names("model")
    only = load_plugins(only=["one"])
    assert "first_thing" in only.registry.names("model")
    assert only.records["two"].status == "blocked"
    assert only.registry.names("splitter"), "built-ins always are loaded"
    assert load_plugins(only=[]).records["one"].status == "blocked"


def test_a_blocked_plugin_is_not_imported(install_plugin):
    install_plugin("trap", "raise SystemExit('imported')")
    assert load_plugins(block=["trap"]).records["trap"].status == "blocked"


@pytest.mark.parametrize("argument", ["block", "only"])
def test_unknown_names_in_block_and_only_are_refused(install_plugin, argument):
    install_plugin("mine", OFFER.format(name="my_thing"))
    with pytest.raises(UnknownNameError, match="did you mean 'mine'"):
        load_plugins(**{argument: ["mien"]})


def test_one_component_name_from_two_plugins_is_refused_by_name(install_plugin):
    install_plugin("one", OFFER.format(name="same"), version="1.0")
    install_plugin("two", OFFER.format(name="same"), version="2.0")
    with pytest.raises(PluginError, match=r"model=same") as caught:
        load_plugins()
    assert "mlframe-one 1.0" in str(caught.value)
    assert "mlframe-two 2.0" in str(caught.value)
    assert load_plugins(block=["two"]).registry.get("model", "same").plugin == "one"


def test_one_entry_point_name_in_two_distributions_is_refused_by_name(install_plugin):
    install_plugin("same", OFFER.format(name="a_thing"), dist="mlframe-first")
    install_plugin("same", OFFER.format(name="b_thing"), dist="mlframe-second")
    with pytest.raises(
        PluginError, match=r"mlframe-first 1\.0 and mlframe-second 1\.0|mlframe-second 1\.0 and mlframe-f"
    ):
        load_plugins()


def test_a_projects_own_file_is_a_plugin(tmp_path, plugins):
    tmp_path.joinpath("mlframe_project.py").write_text(OFFER.format(name="own_thing"))
    loaded = load_plugins(project=tmp_path)
    assert loaded.records["project"].status == "loaded"
    assert loaded.registry.get("model", "own_thing").origin == "plugin 'project'"
    assert "project" not in load_plugins(project=tmp_path / "elsewhere").records
    assert load_plugins(project=tmp_path, block=["project"]).records["project"].status == "blocked"


def test_a_broken_project_file_is_reported(tmp_path, plugins):
    tmp_path.joinpath("mlframe_project.py").write_text("1 / 0")
    loaded = load_plugins(project=tmp_path)
    assert loaded.records["project"].status == "failed"
    assert "ZeroDivisionError" in str(loaded.problems[-1])
    assert "mlframe_project.py" in str(loaded.problems[-1])


def test_config_folders_are_known_by_plugin(install_plugin):
    offer = "import mlframe\n@mlframe.hookimpl\ndef mlframe_config():\n    return ['pkg://mlframe_x.conf']\n"
    install_plugin("mine", offer)
    assert load_plugins().config_folders["mine"] == ["pkg://mlframe_x.conf"]


def test_each_manager_is_its_own():
    assert load_plugins().manager is not load_plugins().manager

"""The walls, held: layers, sizes, import weight, and every YAML file against the component that it names."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlframe.plugins import BUILTIN, load_plugins
from mlframe.registry import FAMILIES, GROUPS
from mlframe.testing.checks import HEAVY, heavy_among, loaded_modules, missing_parameters, read_node

ROOT = Path(__file__).parent.parent
GROUP_FOLDERS = {group for group in GROUPS.values() if group != "step"}
CORE = ("__init__", "__main__", "cli", "door", "errors", "hookspecs", "loading", "plugins", "registry", "table")


def conf_trees() -> list[Path]:
    """Give every config folder: mlframe's own, the plugins', the examples'."""
    found = [ROOT / "conf"]
    for place in ("plugins", "examples"):
        found += [path for path in (ROOT / place).rglob("conf") if path.is_dir() and "build" not in path.parts]
    return sorted(found)


def component_files() -> list[tuple[Path, str]]:
    """Give every YAML file of a component group, with its group."""
    files = []
    for tree in conf_trees():
        for file in sorted(tree.rglob("*.yaml")):
            group = file.parent.relative_to(tree).as_posix()
            if group in GROUP_FOLDERS:
                files.append((file, group))
    return files


def registry_for(file: Path):
    own = ROOT / "examples/own_project"
    return load_plugins(project=own if own in file.parents else None).registry


@pytest.fixture(params=component_files(), ids=lambda item: item[0].relative_to(ROOT).as_posix())
def stated(request: pytest.FixtureRequest, plugins):
    file, group = request.param
    node = read_node(file, group)
    return file, group, node, registry_for(file).get(group, str(node.get("name")), where=str(file))


def test_the_trees_are_found():
    assert {group for _, group in component_files()} == GROUP_FOLDERS


def test_a_file_names_its_component(stated):
    file, _, node, item = stated
    assert node["name"] == file.stem == item.component.name


def test_a_file_spells_out_every_parameter(stated):
    file, _, node, item = stated
    assert missing_parameters(item, node) == [], f"{file} leaves these out"


def test_a_file_binds_to_the_constructor(stated):
    file, group, node, item = stated
    target = item.component.target
    tasks = [None] if isinstance(target, str) else ["regression" if f == "regression" else "binary" for f in target]
    plain = _without_references(node)
    for task in tasks:
        errors = registry_for(file).bind(group, plain, where=file.name, task=task)
        # A value that must be given is no mistake of the file.
        assert [str(error) for error in errors if " needs " not in str(error)] == []


def test_a_file_begins_with_what_it_is_and_how_to_run_it(stated):
    file, *_ = stated
    head = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert len(head) > 1
    assert any("python -m mlframe" in line for line in head), f"{file} shows no command"


@pytest.mark.parametrize(
    "file",
    [path for tree in conf_trees() for path in tree.rglob("*.yaml")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_file_names_code(file: Path):
    def keys(node):
        if isinstance(node, dict):
            for key, value in node.items():
                yield key
                yield from keys(value)
        elif isinstance(node, list):
            for value in node:
                yield from keys(value)

    found = set(keys(yaml.safe_load(file.read_text(encoding="utf-8"))))
    forbidden = {"_target_", "_args_", "_partial_", "hydra"}
    assert not found & (forbidden if file != ROOT / "conf/mlframe_root.yaml" else forbidden - {"hydra"})


def test_every_built_in_has_its_file(plugins):
    for item in plugins.registry:
        if item.distribution == "mlframe" and item.group != "step":
            assert (ROOT / "conf" / item.group / f"{item.component.name}.yaml").is_file(), f"{item.group}"


# ------------------------------------------------------------------------------------------------ layers and sizes


def test_layers():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_core_stays_small():
    sizes = {name: len((ROOT / "mlframe" / f"{name}.py").read_text().splitlines()) for name in CORE}
    assert {path.stem for path in (ROOT / "mlframe").glob("*.py")} <= set(CORE), "a new top-level module is a decision"
    assert sum(sizes.values()) < 2000, sizes


def test_no_module_is_too_long():
    for file in (ROOT / "mlframe").rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) < 600, f"split {file.relative_to(ROOT)}"


# ------------------------------------------------------------------------------------------------ import weight


@pytest.mark.parametrize("name", BUILTIN)
def test_a_built_in_plugin_imports_no_library(name):
    loaded = loaded_modules(f"import mlframe.{name}")
    assert heavy_among(loaded) == []
    assert not loaded & {"polars", "numpy", "scipy"}


def test_the_fixtures_import_nothing_at_the_start_of_a_session():
    before = loaded_modules("import pytest")
    loaded = {name.partition(".")[0] for name in loaded_modules("import pytest, mlframe.testing.plugin") - before}
    assert not loaded & {*HEAVY, "polars", "numpy", "scipy", "hydra", "omegaconf", "narwhals", "sqlalchemy"}


@pytest.mark.parametrize("argv", [["--help"], ["plugins"]])
def test_the_door_imports_no_library(argv, tmp_path):
    code = f"""
import contextlib, io, sys
from mlframe.cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        code = main({argv!r})
    except SystemExit as stop:
        code = stop.code
assert not code, (code, out.getvalue())
"""
    assert heavy_among(loaded_modules(code, tmp_path)) == []


def test_composing_imports_no_library(tmp_path):
    code = """
from mlframe.config.compose import compose
from mlframe.plugins import load_plugins
config = compose(load_plugins(), ["model=lgbm", "data=email"]).config
assert config.model.name == "lgbm"
"""
    assert heavy_among(loaded_modules(code, tmp_path)) == []


def test_the_real_entry_point_imports_no_library(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "mlframe", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "mlframe.cli" in imported
    assert heavy_among(imported) == []


def _without_references(node):
    """Drop values that another part of the config gives, and those that the user must."""
    kept = {}
    for key, value in node.items():
        if isinstance(value, str) and (value == "???" or "${" in value):
            continue
        kept[key] = _without_references(value) if isinstance(value, dict) and key in FAMILIES else value
    return kept

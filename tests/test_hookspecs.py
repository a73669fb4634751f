"""A hook lands only with its documentation, a real user and a test; nobody gives an argument a default."""

import ast
import importlib.util
import inspect
from pathlib import Path

import pytest

from mlframe import hookspecs
from mlframe.registry import GROUPS

ROOT = Path(__file__).parent.parent
HOOKS = [name for name in vars(hookspecs) if name.startswith("mlframe_")]
PLACES = ("mlframe", "plugins", "examples")


def implementations() -> list[tuple[Path, ast.FunctionDef]]:
    """Give every hook implementation of the built-ins, the plugins and the examples, without importing them."""
    found = []
    for place in PLACES:
        for file in sorted((ROOT / place).rglob("*.py")):
            if {"build", "dist"} & set(file.relative_to(ROOT).parts) or file.name == "hookspecs.py":
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef) and any("hookimpl" in ast.dump(d) for d in node.decorator_list):
                    found.append((file, node))
    return found


def test_there_are_hooks_and_implementations():
    assert len(HOOKS) == 20
    assert len(implementations()) > len(GROUPS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented(hook):
    text = inspect.getdoc(getattr(hookspecs, hook))
    assert text is not None
    assert text.splitlines()[0].endswith(".") or text.splitlines()[1] != ""
    for name in inspect.signature(getattr(hookspecs, hook)).parameters:
        assert f"{name}: " in text, f"{hook} does not say what {name} is"
    page = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")
    assert f"\n## {hook}\n" in page


def test_the_page_is_what_the_specs_say():
    spec = importlib.util.spec_from_file_location("make_hooks", ROOT / "docs/make_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")
    assert page == module.page(), "run: python docs/make_hooks.py"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_real_user(hook):
    assert [file for file, node in implementations() if node.name == hook and "testing" not in file.parts]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_test(hook):
    suite = f"{hook.removeprefix('mlframe_').removesuffix('s').capitalize()}Suite"
    wanted = (hook, suite) if hook in GROUPS else (hook,)
    tests = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "plugins").rglob("test_*.py")]
    texts = [file.read_text(encoding="utf-8") for file in tests if file != Path(__file__)]
    assert any(word in text for text in texts for word in wanted)


@pytest.mark.parametrize("hook", HOOKS)
def test_specs_give_no_defaults(hook):
    parameters = inspect.signature(getattr(hookspecs, hook)).parameters.values()
    assert all(parameter.default is parameter.empty for parameter in parameters)


def test_implementations_give_no_defaults_and_name_known_arguments():
    for file, node in implementations():
        known = set(inspect.signature(getattr(hookspecs, node.name)).parameters)
        names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)} - {"self"}
        assert not node.args.defaults, f"{file}: {node.name}"
        assert not any(node.args.kw_defaults), f"{file}: {node.name}"
        assert names <= known, f"{file}: {node.name}"


def test_every_registration_hook_has_its_group():
    assert set(GROUPS) <= set(HOOKS)
    assert len(set(GROUPS.values())) == len(GROUPS)

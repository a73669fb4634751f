"""The examples and the plugin guide, run as their readers run them."""

import json
import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs/writing-plugins.md"
QUICK = ("model=linear", "data=tickets", "evaluators=[classification]", "reporters=[]", "trackers=[]")


@pytest.fixture
def environment(tmp_path_factory):
    """Make an environment of its own that sees this one's packages; what is installed goes into it only."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ask = [python, "-c", "import site; print(site.getsitepackages()[0])"]
    packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    lines = "; ".join(f"site.addsitedir({path!r})" for path in site.getsitepackages())
    packages.joinpath("zz_outer.pth").write_text(f"import site; {lines}\n")
    return python


@pytest.fixture
def call(environment, tmp_path):
    """Run a command line in a folder, as a shell would; pip builds with what is installed, and asks no index."""
    outer = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_", "PIP_"))}
    quiet = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    env = {**outer, **quiet, "MLFRAME_HOME": str(tmp_path / "store"), "WANDB_MODE": "disabled", "COLUMNS": "200"}

    def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
        words = shlex.split(line)
        assert words[0] == "python"
        done = subprocess.run(
            [environment, *words[1:]], cwd=folder, env=env, text=True, capture_output=True, check=False
        )
        return done

    return run


def test_the_minimal_plugin_installs_and_keeps_its_contracts(call, tmp_path):
    plugin = tmp_path / "minimal_plugin"
    shutil.copytree(ROOT / "examples/minimal_plugin", plugin)
    done = call(f"python -m pip install {plugin.as_posix()}", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # Away from the source, so that the installed modules are tested.
    shutil.move(plugin / "tests", tmp_path / "tests")
    shutil.rmtree(plugin)
    done = call("python -m pytest -q -W error -p no:cacheprovider tests", tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout
    done = call("python -m mlframe plugins", tmp_path)
    assert "mlframe-minimal" in done.stdout
    assert "model/random_cuts" in done.stdout
    assert "data/source/mbox" in done.stdout


# ------------------------------------------------------------------------------------------------ own_project


@pytest.fixture
def project(run_cli):
    """Copy the example into the working directory of `run_cli`."""
    shutil.copytree(ROOT / "examples/own_project", Path.cwd(), dirs_exist_ok=True)
    return Path.cwd()


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_the_own_project_runs_and_its_hooks_are_called(project, run_cli):
    done = run_cli(*QUICK)
    assert done.code == 0, done.out + done.err
    assert "tickets/1" in done.out
    # mlframe_after_run
    (notice,) = lines(project / "notices.jsonl")
    assert (notice["name"], notice["task"], notice["status"]) == ("tickets", "train", "finished")
    # mlframe_after_step
    (timeline,) = (project / ".mlframe/runs").rglob("timeline.jsonl")
    steps = [line["step"] for line in lines(timeline)]
    assert steps[0] == "ingest"
    assert {"fit", "register"} <= set(steps)
    assert not (project / "failures.jsonl").exists()


def test_the_own_project_stops_at_its_freeze(project, run_cli):
    project.joinpath("FREEZE").write_text("audit until Friday")
    done = run_cli(*QUICK)
    assert done.code != 0
    # mlframe_before_step stops the run.
    assert "audit until Friday" in done.out + done.err
    assert "step: register" in done.out + done.err
    # mlframe_on_step_error
    assert "Releases are frozen" in lines(project / "failures.jsonl")[0]["error"]
    assert lines(project / "notices.jsonl")[0]["status"] == "failed"
    project.joinpath("FREEZE").unlink()
    assert run_cli(*QUICK).code == 0


def test_the_own_projects_rule_catches_a_card_number(project, run_cli):
    file = project / "data/tickets.csv"
    text = file.read_text(encoding="utf-8").splitlines()
    text[5] = re.sub(r'"[^"]*"', '"my card is 4111 1111 1111 1111"', text[5])
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
    done = run_cli(*QUICK, "validators.tickets.policy=fail")
    assert done.code == 2
    assert "4111" in done.out + done.err
    assert run_cli(*QUICK).code == 0, "quarantine leaves the row out"


def test_the_own_project_works_without_its_code(project, run_cli):
    done = run_cli(*QUICK, "plugins.block=[project]", "validators=[pandera]")
    assert done.code == 0, done.out + done.err
    assert not (project / "notices.jsonl").exists()


def test_the_own_projects_tests_pass(call, tmp_path):
    shutil.copytree(ROOT / "examples/own_project", tmp_path / "project")
    done = call("python -m pytest -q -W error -p no:cacheprovider", tmp_path / "project")
    assert done.returncode == 0, done.stdout[-3000:]


# ------------------------------------------------------------------------------------------------ serving


@pytest.mark.slow
def test_the_serving_example_does_what_its_readme_says(call, tmp_path):
    readme = (ROOT / "examples/serving/README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```bash\n(.*?)```", readme, flags=re.S)
    enter, command = block.splitlines()
    assert enter == "cd examples/serving"
    shutil.copytree(ROOT / "examples/serving", tmp_path / "serving")
    done = call(command, tmp_path / "serving")
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert '"version":"email/1"' in said.partition("three as CSV")[0].replace(" ", "")
    assert said.index("now email/2 answers") < said.index("now email/1 answers")
    wrong = said.partition("a wrong one:")[2].partition("\n$")[0]
    assert '"extra"' in wrong
    assert "expected" in wrong
    assert "Traceback" not in done.stderr
    log = said.partition("the prediction log")[2]
    assert "latency_ms" in log
    assert "email/2" in log
    assert not list((tmp_path / "serving").glob(".mlframe"))


# ------------------------------------------------------------------------------------------------ the guide


def blocks() -> list[tuple[str, str | None, str]]:
    """Give every fenced block: language, the file name on the line before, text."""
    found = []
    pattern = r"(?:^`([\w./-]+)`\n)?^([ ]*)```(\w+)\n(.*?)^\2```$"
    for match in re.finditer(pattern, GUIDE.read_text(encoding="utf-8"), flags=re.M | re.S):
        name, indent, language, text = match.groups()
        found.append((language, name, "\n".join(line.removeprefix(indent) for line in text.splitlines()) + "\n"))
    return found


def test_no_block_of_the_guide_is_missed():
    fences = re.findall(r"^\s*```\w+", GUIDE.read_text(encoding="utf-8"), flags=re.M)
    assert len(fences) == len(blocks()) > 8
    assert {language for language, *_ in blocks()} == {"python", "console", "toml", "yaml"}


def test_the_guide_begins_with_ten_lines():
    language, name, text = blocks()[0]
    assert (language, name) == ("python", "mlframe_project.py")
    assert len([line for line in text.splitlines() if line.strip()]) <= 10


def test_the_guide_to_the_letter(call, tmp_path):
    for language, name, text in blocks():
        if name is not None:
            tmp_path.joinpath(name).write_text(text, encoding="utf-8")
        elif language == "console":
            follow(text, call, tmp_path)
        elif language == "python":
            _is_a_plugin(text, tmp_path)
        elif language == "toml":
            written = tmp_path.joinpath("mlframe-server-log/pyproject.toml").read_text(encoding="utf-8")
            assert text in written, "new-plugin writes something else"
        else:
            written = next(tmp_path.joinpath("mlframe-server-log").rglob("server_log.yaml")).read_text(encoding="utf-8")
            assert set(yaml.safe_load(text)) <= set(yaml.safe_load(written))
    log = "2024-02-29 10:00 web-1 312 ok\n" * 3
    tmp_path.joinpath("server.log").write_text(log)
    code = "from servers import ServerLog as S; print(S('server.log').read().shape, S('server.log').fingerprint())"
    assert call(f'python -c "{code}"', tmp_path).stdout.startswith("(3, 5)")


def follow(text: str, call, folder: Path) -> None:
    """Run a console block: lines after a command are parts of what it prints, or the exit code."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, *wanted = part.splitlines()
        code = 0
        done = call(command, folder)
        said = done.stdout + done.stderr
        for line in wanted:
            if match := re.fullmatch(r"\[exit code (\d+)\]", line):
                code = int(match[1])
            elif line.strip():
                assert line.strip() in said, f"{command}\n{said[-3000:]}"
        assert done.returncode == code, f"{command}\n{said[-3000:]}"


def _is_a_plugin(text: str, folder: Path) -> None:
    """Load a block as a project's own file: its hooks must be known."""
    own = folder / "block"
    own.mkdir(exist_ok=True)
    own.joinpath("mlframe_project.py").write_text(text, encoding="utf-8")
    check = "import pathlib; from mlframe.plugins import load_plugins; "
    check += (
        "r = load_plugins(project=pathlib.Path('.')).records['project']; assert r.status == 'loaded' and r.hooks, r"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

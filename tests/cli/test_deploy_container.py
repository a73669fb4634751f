"""Folders that build images: checked by the schemas of Compose and Kubernetes and by a linter of Dockerfiles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workbench import TABLE, Bench, refused

CONTAINER = ("deploy", *TABLE, "deployer=container", "trackers=[]", "output=image")


def check(*command: str) -> None:
    """Run a checker of this environment."""
    done = subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def documents() -> dict[str, dict[str, object]]:
    return {item["kind"]: item for item in yaml.safe_load_all(Path("image/kubernetes.yaml").read_text())}


@pytest.mark.parametrize("store", ["null", "s3://bucket/team"])
def test_what_is_written_passes_the_schemas(served: Bench, store: str):
    result = served(*CONTAINER, f"deployer.store={store}")
    assert result.code == 0, result.err
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "image/compose.yaml")
    check("kubernetes-validate", "--strict", "image/kubernetes.yaml")
    # The base image's Debian decides on the version of libgomp1.
    check("hadolint", "--ignore", "DL3008", "image/Dockerfile", "image/train/Dockerfile")
    subprocess.run(["sh", "-n", "image/start.sh"], check=True)


def test_the_server_has_probes_limits_and_no_rights(served: Bench):
    assert served(*CONTAINER, "deployer.memory=512MB", "deployer.cpus=2", "deployer.store=s3://bucket/team").code == 0
    kinds = documents()
    assert set(kinds) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "CronJob"}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]  # type: ignore[index]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert container["resources"]["limits"] == {"memory": "512Mi"}
    text = Path("image/Dockerfile").read_text()
    assert "USER 10001" in text
    assert "HEALTHCHECK" in text
    settings = json.loads(Path("image/serving.json").read_text())
    assert (settings["workers"], settings["auth"], settings["store"]) == (2, "keys", "s3://bucket/team")
    # A password reaches the server through the environment only.
    assert kinds["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"] == "MLFRAME_STORE_URL"  # type: ignore[index]


def test_the_training_image_holds_the_command_and_the_project(served: Bench):
    served.write("labels: {a: 1}\n", "extra/labels.yaml")
    served.write("# @package _global_\nseed: 3\n", "conf/experiment/mine.yaml")
    served.write("VALUE = 1\n", "helpers.py")
    served.write("import helpers\n", "mlframe_project.py")
    assert served(*CONTAINER, "deployer.project=[my.csv,extra]", 'deployer.schedule="30 4 * * 1"').code == 0
    project = Path("image/train/project")
    found = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    wanted = {"my.csv", "extra/labels.yaml", "conf/experiment/mine.yaml", "helpers.py", "mlframe_project.py"}
    assert found == {*wanted, ".keep"}
    assert Path("image/mlframe_project.py").is_file(), "a version may be made of the project's classes"
    entry = next(
        line for line in Path("image/train/Dockerfile").read_text().splitlines() if line.startswith("ENTRYPOINT")
    )
    words = json.loads(entry.removeprefix("ENTRYPOINT "))
    assert words[:3] == ["python", "-m", "mlframe"]
    assert set(TABLE) <= set(words)
    assert documents()["CronJob"]["spec"]["schedule"] == "30 4 * * 1"  # type: ignore[index]
    import mlframe

    assert f"mlframe=={mlframe.__version__}" in Path("image/train/requirements.txt").read_text().splitlines()


def test_an_older_folder_is_replaced_and_another_one_is_not(served: Bench):
    assert served(*CONTAINER).code == 0
    Path("image/stray").touch()
    assert served(*CONTAINER).code == 0
    assert not Path("image/stray").exists()
    served.write("mine", "other/file")
    refused(served(*CONTAINER[:-1], "output=other"), "was not written by this deployer", "other")
    assert Path("other/file").read_text() == "mine"
    assert [path.name for path in Path().iterdir() if path.name.startswith(".image")] == []


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("deployer.memory=much", ("deployer.memory", "512MB or 2GB")),
        ("deployer.schedule=daily", ("deployer.schedule", "five fields")),
        ("deployer.wheels=[absent.whl]", ("no such wheel", "absent.whl")),
        ("deployer.store=here", ("deployer.store", "s3://")),
        ("deployer.project=[absent]", ("no such file", "absent", "deployer.project")),
        ("deployer.project=[/etc/hostname]", ("outside of the working directory",)),
        ("deployer.prot=1", ("prot", "did you mean deployer.port")),
    ],
)
def test_mistakes_are_told(served: Bench, override: str, words: tuple[str, ...]):
    refused(served(*CONTAINER, override), *words)
    assert not Path("image").exists()

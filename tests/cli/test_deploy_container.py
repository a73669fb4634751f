"""Folders that build images: checked by the schemas of Compose and Kubernetes and by a linter of Dockerfiles."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from workbench import FAST, TABLE, Bench, refused

from mlframe.store.store import Store

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


@contextlib.contextmanager
def started(image: Path, store: Path) -> Iterator[str]:
    """Run what the image's entry point runs, with the folder in place of /srv; give its address once it is ready."""
    settings = json.loads((image / "serving.json").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings |= {"store": str(store), "host": "127.0.0.1", "port": free.getsockname()[1]}
    (image / "here.json").write_text(json.dumps(settings))
    script = (image / "start.sh").read_text().replace("/srv/serving.json", str(image / "here.json"))
    (image / "here.sh").write_text(script.replace("/srv", str(image)))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "MLFRAME_HOME": str(store), "PATH": path}
    with (image / "log").open("w") as log:
        server = subprocess.Popen(["sh", str(image / "here.sh")], cwd=image, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{settings['port']}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/v2/health/ready", timeout=2)
                break
            except OSError:
                assert server.poll() is None, (image / "log").read_text()
                assert time.monotonic() < end, (image / "log").read_text()
                time.sleep(0.05)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)  # reaches the server, as the shell has become it
        code = server.wait(60)
    assert code == 0, (image / "log").read_text()


def ask(address: str, key: str) -> dict[str, Any]:
    body = json.dumps({"age": 70, "income": 5000, "city": "rome"}).encode()
    request = urllib.request.Request(f"{address}/predict", body, {"X-Api-Key": key, "Content-Type": "application/json"})
    answer: dict[str, Any] = json.loads(urllib.request.urlopen(request, timeout=10).read())
    return answer


def test_what_the_image_starts_serves_its_version_and_keeps_its_store(served: Bench, tmp_path: Path):
    assert served.train("model=linear").code == 0
    assert served("promote", "csv/2").code == 0
    assert served(*CONTAINER).code == 0
    image, store = Path("image").absolute(), tmp_path / "volume"
    with started(image, store) as address:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(address, "none")
        created = served("keys", "create", "shop", "--scope", "predict", f"store.root={store}")
        key = next(word for word in created.out.split() if word.startswith("mlf"))
        end, answer = time.monotonic() + 30, None
        while answer is None:  # the server looks for new keys every two seconds
            assert time.monotonic() < end
            with contextlib.suppress(urllib.error.HTTPError):
                answer = ask(address, key)
        assert answer["version"] == "csv/2", "the number that it has where it was made"
    with Store.open(str(store), create=False) as kept:
        (moved,) = kept.history("csv")
        assert (moved["to"], moved["why"]) == ("csv/2", "the version of this image")
        assert kept.beside("csv/2") == {}, "digests of training rows are no server's business"
        assert kept.version("csv/2")["facts"]["passed"] is True
    # A training in the same volume gives the next number; its champion stays when the image starts again.
    assert served(*TABLE, *FAST, f"store.root={store}").code == 0
    assert served("promote", "csv/3", "--force", f"store.root={store}").code == 0
    with started(image, store) as address:
        assert ask(address, key)["version"] == "csv/3"
    with Store.open(str(store), create=False) as kept:
        assert len(kept.history("csv")) == 2
        assert [version["number"] for version in kept.versions()] == [2, 3]


def test_a_first_start_that_was_killed_is_finished_by_the_next(served: Bench, tmp_path: Path):
    assert served(*CONTAINER).code == 0
    image, store = Path("image").absolute(), tmp_path / "volume"
    assert served("import", str(image / "bundle"), f"store.root={store}").code == 0  # and then the power went
    with started(image, store):
        pass
    with Store.open(str(store), create=False) as kept:
        assert [version["aliases"] for version in kept.versions()] == [["champion"]]


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

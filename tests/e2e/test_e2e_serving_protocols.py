"""A real server, asked by Triton's own client, by TensorFlow's form, in JSON, CSV and Arrow: one answer to all."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from e2e_tools import Workspace, own, write_table
from openapi_spec_validator import OpenAPIV31SpecValidator

ARROW = "application/vnd.apache.arrow.stream"
TENSORS = {"x1": "FP64", "x2": "FP32", "colour": "BYTES"}


@dataclass
class Server:
    """A server that answers."""

    address: str
    workspace: Workspace

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send a request; a body makes it a POST."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.address + path, data=body, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def told(self, path: str, body: Any = None, **headers: str) -> Any:
        """Send JSON and return the answer's."""
        raw = None if body is None else json.dumps(body).encode()
        status, answer = self.ask(path, raw, content_type="application/json", **headers)
        assert status in (200, 202), answer
        return json.loads(answer)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Train, promote, serve with two workers."""
    workspace = Workspace.make(tmp_path_factory.mktemp("serving"))
    write_table(workspace.folder / "rows.csv", rows=200, flip=0.1)
    workspace.ok(*own(Path("rows.csv")), "model=linear")
    workspace.ok("promote", "own/1")
    with workspace.store() as store:
        root = str(store.root)
    settings = {"name": "own", "version": "own@champion", "store": root, "port": 0, "workers": 2, "access_log": None}
    file = workspace.folder / "serving.json"
    file.write_text(json.dumps(settings))
    process = subprocess.Popen(
        [sys.executable, "-m", "mlframe.serving", str(file)],
        cwd=workspace.folder,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        ready = next(told["ready"] for told in map(json.loads, process.stdout) if "ready" in told)
        yield Server(ready["address"], workspace)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def rows(server: Server) -> pl.DataFrame:
    """Give the version's own example rows, as 32-bit clients can say them too."""
    with server.workspace.store() as store:
        found = pl.read_ipc(store.open_bundle("own/1") / "examples.arrow")
    return found.with_columns(pl.col("x2").cast(pl.Float32).cast(pl.Float64))


@pytest.fixture(scope="module")
def wanted(server: Server, rows: pl.DataFrame) -> dict[str, Any]:
    """Give what the server says of the rows."""
    told: dict[str, Any] = server.told("/predict", {"rows": rows.to_dicts()})
    return told


def test_many_rows_and_one_agree_with_the_pipeline(server, rows, wanted, tmp_path) -> None:
    rows.write_csv(server.workspace.folder / "ask.csv")
    server.workspace.ok(
        "predict", *own(Path("rows.csv"))[:2], "name=own", "trackers=[]", "input=ask.csv", "output=said.csv"
    )
    said = pl.read_csv(server.workspace.folder / "said.csv")
    assert wanted["version"] == "own/1"
    assert wanted["predictions"] == said["y_pred"].to_list()
    assert [row["yes"] for row in wanted["probabilities"]] == pytest.approx(said["p_yes"].to_list(), abs=1e-9)
    one = server.told("/predict?explain=2", rows.row(3, named=True))
    assert one["prediction"] == wanted["predictions"][3]
    assert one["probabilities"]["yes"] == pytest.approx(wanted["probabilities"][3]["yes"], abs=1e-12)
    assert {reason["field"] for reason in one["reasons"]} <= {"x1", "x2", "colour"}


def test_csv_and_arrow_say_the_same(server, rows, wanted) -> None:
    shares = [row["yes"] for row in wanted["probabilities"]]
    sink = io.BytesIO()
    rows.write_ipc_stream(sink)
    for body, kind in ((rows.write_csv().encode(), "text/csv"), (sink.getvalue(), ARROW)):
        for accept in ("text/csv", ARROW):
            status, answer = server.ask("/predict", body, content_type=kind, accept=accept)
            assert status == 200, answer
            found = (pl.read_csv if accept == "text/csv" else pl.read_ipc_stream)(io.BytesIO(answer))
            assert found["p_yes"].to_list() == pytest.approx(shares, abs=1e-12)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("version", ["", "1"])
def test_tritons_client_works_unchanged(server, rows, wanted, binary, version) -> None:
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException, triton_to_np_dtype

    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("own", version)
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        metadata = client.get_model_metadata("own", version)
        assert metadata["versions"] == ["1"]
        assert {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]} == TENSORS | {"x2": "FP64"}
        inputs = []
        for name, datatype in TENSORS.items():
            tensor = triton.InferInput(name, [rows.height, 1], datatype)
            values = np.array(rows[name].to_list(), dtype=triton_to_np_dtype(datatype)).reshape(-1, 1)
            tensor.set_data_from_numpy(values, binary_data=binary)
            inputs.append(tensor)
        outputs = [
            triton.InferRequestedOutput(name, binary_data=binary) for name in ("y_pred", "p_yes", "probabilities")
        ]
        result = client.infer("own", inputs, model_version=version, outputs=outputs, request_id="mine")
        shares = [[row["no"], row["yes"]] for row in wanted["probabilities"]]
        np.testing.assert_allclose(result.as_numpy("probabilities"), shares, atol=1e-12)
        np.testing.assert_array_equal(result.as_numpy("p_yes"), result.as_numpy("probabilities")[:, 1])
        labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("y_pred")]
        assert labels == wanted["predictions"]
        assert result.get_response()["id"] == "mine"
        assert client.infer("own", inputs).as_numpy("y_pred").shape == (rows.height,)
        for name, number in (("other", ""), ("own", "99")):
            with pytest.raises(InferenceServerException) as error:
                client.infer(name, inputs, model_version=number)
            assert error.value.status() == "404"
        with pytest.raises(InferenceServerException, match="input schema"):
            client.infer("own", inputs[1:])
    finally:
        client.close()


def test_tensorflows_form_says_the_same(server, rows, wanted) -> None:
    by_row = server.told("/v1/models/own:predict", {"instances": rows.to_dicts()})["predictions"]
    by_column = server.told("/v1/models/own/versions/1:predict", {"inputs": rows.to_dict(as_series=False)})["outputs"]
    assert [row["y_pred"] for row in by_row] == by_column["y_pred"] == wanted["predictions"]
    shares = [row["yes"] for row in wanted["probabilities"]]
    assert [row["p_yes"] for row in by_row] == pytest.approx(shares, abs=1e-12)
    assert server.told("/v1/models/own")["model_version_status"][0]["state"] == "AVAILABLE"
    status, answer = server.ask("/v1/models/own:predict", b"{}", content_type="application/json")
    assert (status, list(json.loads(answer))) == (400, ["error"])


def test_feedback_is_taken(server, wanted) -> None:
    entries = [{"request_id": wanted["request_id"], "row": row, "label": "yes"} for row in range(3)]
    assert server.told("/feedback", entries)["accepted"] == 3
    unknown = json.dumps({"request_id": "x", "label": "maybe"}).encode()
    status, answer = server.ask("/feedback", unknown, content_type="application/json")
    assert (status, json.loads(answer)["details"][0]["field"]) == (422, "label")


def test_a_page_of_somebody_elses_cannot_send_feedback(server) -> None:
    # Forms and plain texts are what a browser sends to any address unasked.
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        for path in ("/predict", "/feedback"):
            status, answer = server.ask(path, b'{"request_id": "a", "label": "yes"}', content_type=kind)
            assert (status, "application/json" in json.loads(answer)["title"]) == (415, True)


def test_the_document_the_metrics_and_the_page_are_there(server) -> None:
    document = server.told("/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]["many"]
    assert len(server.told("/predict", example["value"])["predictions"]) == 1
    time.sleep(2.5)  # the other worker's snapshot is at most a second old
    status, text = server.ask("/metrics")
    assert status == 200
    assert b"mlframe_workers 2\n" in text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    status, page = server.ask("/")
    assert status == 200
    assert "own/1" in page.decode()


def test_mutated_requests_fail_for_their_sender_only(server, rows) -> None:
    rng = random.Random(5)
    sink = io.BytesIO()
    rows.head(3).write_ipc_stream(sink)
    good = [
        ("/predict", json.dumps(rows.head(2).to_dicts()).encode(), "application/json"),
        ("/predict", rows.head(3).write_csv().encode(), "text/csv"),
        ("/predict", sink.getvalue(), ARROW),
        ("/feedback", b'[{"request_id": "a", "label": "yes"}]', "application/json"),
        ("/v1/models/own:predict", json.dumps({"instances": rows.head(2).to_dicts()}).encode(), "application/json"),
        ("/v2/models/own/infer", b'{"inputs": [{"name": "x1", "shape": [1], "datatype": "FP64", "data": [1]}]}', "x/y"),
    ]
    seen: Counter[int] = Counter()
    for number in range(600):
        path, body, kind = good[number % len(good)]
        made = bytearray(body)
        for _ in range(rng.randint(1, 3)):
            made[rng.randrange(len(made))] = rng.randrange(256)
        if rng.random() < 0.3:
            del made[rng.randrange(len(made)) :]
        status, _ = server.ask(path, bytes(made), content_type=kind)
        seen[status] += 1
    assert set(seen) <= {200, 202, 400, 413, 415, 422}, seen
    assert server.told("/predict", rows.row(0, named=True))["version"] == "own/1"

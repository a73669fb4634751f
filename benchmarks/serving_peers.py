"""The other side of benchmarks/serving.py: one process of one peer, run with the Python of that peer's environment.

    python benchmarks/serving_peers.py train FOLDER       # fits the pipeline that every peer serves
    python benchmarks/serving_peers.py fastapi FOLDER PORT

Each server is set up as its own documentation shows for a scikit-learn pipeline: rows as JSON, a pandas frame inside. All
may use both cores; where a server has an option for workers, it gets two.
"""

import json
import os
import sys
from pathlib import Path

NUMBERS = [f"num_{index}" for index in range(10)]
CATEGORIES = [f"cat_{index}" for index in range(4)]
COLUMNS = [*NUMBERS, *CATEGORIES]


def train(folder: Path) -> None:
    """Fit an ordinal encoder and 200 trees on the rows of `rows.csv`, and save them as each server wants."""
    import joblib
    import pandas as pd
    from lightgbm import LGBMClassifier
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    rows = pd.read_csv(folder / "rows.csv")
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    features = make_column_transformer((encoder, CATEGORIES), remainder="passthrough")
    model = make_pipeline(features, LGBMClassifier(n_estimators=200, n_jobs=1, verbose=-1))
    model.fit(rows[COLUMNS], rows["target"])
    joblib.dump(model, folder / "model.joblib")
    try:
        import mlflow
    except ImportError:
        return
    mlflow.sklearn.save_model(
        model, str(folder / "mlflow"), serialization_format="cloudpickle", pyfunc_predict_fn="predict_proba"
    )


def fastapi(folder: Path, port: int) -> None:
    """A route, a pandas frame, predict_proba: what one writes by hand."""
    (folder / "fastapi_app.py").write_text(
        f"""
import joblib, pandas as pd
from fastapi import FastAPI
from pydantic import create_model
model = joblib.load({str(folder / "model.joblib")!r})
fields = {{f"num_{{i}}": (float, ...) for i in range(10)}} | {{f"cat_{{i}}": (str, ...) for i in range(4)}}
Row = create_model("Row", **fields)
app = FastAPI()
@app.post("/predict")
def predict(row: Row):
    return {{"probability": float(model.predict_proba(pd.DataFrame([row.model_dump()]))[0, 1])}}
"""
    )
    os.chdir(folder)
    run("uvicorn", "fastapi_app:app", "--port", str(port), "--workers", "2", "--no-access-log")


def mlflow(folder: Path, port: int) -> None:
    """`mlflow models serve`."""
    run("mlflow", "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local", "-p", str(port), "-w", "2")


def bentoml(folder: Path, port: int) -> None:
    """A service with one API; its batching makes a lone request wait for 100 ms, so it is left off."""
    (folder / "bento_service.py").write_text(
        f"""
import bentoml, joblib, pandas as pd
@bentoml.service(workers=2)
class Service:
    def __init__(self):
        self.model = joblib.load({str(folder / "model.joblib")!r})
    @bentoml.api
    def predict(self, row: dict) -> float:
        return float(self.model.predict_proba(pd.DataFrame([row]))[0, 1])
"""
    )
    os.chdir(folder)
    run("bentoml", "serve", "bento_service:Service", "--port", str(port))


def litserve(folder: Path, port: int) -> None:
    """A LitAPI with batching on."""
    app = folder / "litserve_app.py"
    app.write_text(
        f"""
import joblib, litserve, pandas as pd
class Api(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load({str(folder / "model.joblib")!r})
    def decode_request(self, request):
        return request
    def predict(self, rows):
        return self.model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
    def encode_response(self, output):
        return {{"probability": output}}
if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=32, batch_timeout=0.001), accelerator="cpu", workers_per_device=2)
    server.run(port={port}, generate_client_file=False, log_level="warning")
"""
    )
    os.execv(sys.executable, [sys.executable, str(app)])


def mlserver(folder: Path, port: int) -> None:
    """A model with a pandas frame as content type, two inference workers."""
    settings = {
        "name": "table",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "model.joblib"), "version": "1"},
    }
    home = folder / "mlserver"
    home.mkdir(exist_ok=True)
    (home / "model-settings.json").write_text(json.dumps(settings))
    server = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "parallel_workers": 2, "debug": False}
    (home / "settings.json").write_text(json.dumps(server))
    run("mlserver", "start", str(home))


def run(program: str, *arguments: str) -> None:
    """Become a program of this environment."""
    home = Path(sys.executable).parent
    os.environ["PATH"] = f"{home}:{os.environ['PATH']}"  # some start programs of their own
    os.execv(home / program, [str(home / program), *arguments])


if __name__ == "__main__":
    what, place = sys.argv[1], Path(sys.argv[2]).resolve()
    if what == "train":
        train(place)
    else:
        globals()[what](place, int(sys.argv[3]))

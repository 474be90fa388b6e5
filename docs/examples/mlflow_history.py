"""Send the history of a run to MLflow: ``python mlflow_history.py RUN``.

TensorBoard needs no such step: ``tensorboard --logdir runs`` shows the runs of a folder.
"""

import json
import sys
from pathlib import Path

import mlflow

run = Path(sys.argv[1])
config = json.loads((run / "config.json").read_text())
environment = json.loads((run / "environment.json").read_text())
mlflow.set_experiment("calostream")  # MLFLOW_TRACKING_URI says where; by default a database in this folder
with mlflow.start_run(run_name=run.name):
    mlflow.log_params(config)
    mlflow.set_tags({"device": environment["device"], "store": environment["store"]["digest"]})
    for line in (run / "history.jsonl").read_text().splitlines():
        record = json.loads(line)
        epoch = record.pop("epoch")
        numbers = {name: value for name, value in record.items() if isinstance(value, int | float)}
        mlflow.log_metrics(numbers, step=epoch)  # without what is missing, and the order of the samples

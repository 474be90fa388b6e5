"""Train with several learning rates and report the best: ``python scan_learning_rates.py STORE FOLDER``."""

import json
import subprocess
import sys
from pathlib import Path

store, folder = sys.argv[1], Path(sys.argv[2])
best = {}
for rate in (1e-3, 3e-3, 1e-2):
    run = folder / f"lr-{rate:g}"
    if not (run / "predictions" / "test.npz").exists():  # a scan that was interrupted continues
        words = ["train-torch", "--store", store, "--run", run, "--lr", rate, "--epochs", 2, "--batch-size", 64]
        words += ["--quiet", *(["--resume"] if (run / "config.json").exists() else [])]
        subprocess.run(list(map(str, words)), check=True)
    epochs = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    best[run] = min(epoch["validation_loss"] for epoch in epochs)
    print(f"{run}: lowest validation loss {best[run]:.4f}")
subprocess.run(["evaluate", *map(str, best), "--output", str(folder / "report")], check=True)
print(f"best: {min(best, key=best.get)}")

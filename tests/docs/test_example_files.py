"""The files in docs/examples are short and run as they are; those for Lightning and MLflow run in tests/adapters."""

import os
import re
import runpy
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from store import open_dataset
from tests.example_files import EXAMPLES, run_example
from tests.examples import run_ingest
from tests.pages import ROOT
from train.config import SETTINGS

RUN = {
    *("pytorch_loop.py", "keras_fit.py", "several_ranks.py", "scan_learning_rates.py", "slurm.sh", "slurm_nodes.sh"),
    *("lightning_fit.py", "mlflow_history.py", "own_images.py"),
}


def test_every_example_is_run_and_short() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == RUN
    for name in RUN:
        assert len((EXAMPLES / name).read_text().splitlines()) < 40, name


def test_the_plain_loop_resumes(
    showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> list[str]:
        runpy.run_path(str(EXAMPLES / "pytorch_loop.py"), run_name="__main__")  # here, which has PyTorch in memory
        return capsys.readouterr().out.splitlines()

    monkeypatch.setattr(sys, "argv", ["pytorch_loop.py", str(showers), str(tmp_path / "checkpoint.pt")])
    assert [line.partition(":")[0] for line in run()] == ["epoch 1", "epoch 2", "epoch 3"]
    assert run() == [], "all epochs are done"


def test_own_images_are_described_and_make_a_store_as_the_tutorial_says(tmp_path: Path) -> None:
    (tmp_path / "pictures.toml").write_text(described := tutorial_description(), encoding="utf-8")
    run_example("own_images.py", tmp_path / "pictures.h5")
    outcome = run_ingest("describe", tmp_path / "pictures.h5")
    guess, wanted = map(tomllib.loads, (outcome.out, described))
    assert guess["image"]["keys"] == wanted["image"]["keys"]
    assert guess["image"]["shape"] == wanted["image"]["shape"]
    assert guess["label"]["key"] == wanted["label"]["key"]
    assert [variable["key"] for variable in guess["variables"]] == [variable["key"] for variable in wanted["variables"]]
    words = ("--dataset", tmp_path / "pictures.toml", "--output", tmp_path / "pictures.zarr")
    assert run_ingest(tmp_path / "pictures.h5", *words).status == 0
    dataset = open_dataset(tmp_path / "pictures.zarr")
    assert dataset.image.shape == (3000, 24, 24, 1)
    assert sorted(set(dataset.class_name.values.tolist())) == ["narrow", "stretched", "wide"]
    assert dataset.momentum.attrs["units"] == "GeV"


def tutorial_description() -> str:
    """Return the description of a data set in the tutorial."""
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
    return textwrap.dedent(block)


def test_keras_fits(showers: Path, tmp_path: Path) -> None:
    shown = run_example("keras_fit.py", showers, tmp_path / "model.keras", KERAS_BACKEND="tensorflow")
    assert re.search(r"^test AUC 0\.\d{4}$", shown, re.MULTILINE)
    assert (tmp_path / "model.keras").is_file()


def test_several_ranks_share_each_epoch(showers: Path) -> None:
    words = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    lines = run_example("several_ranks.py", showers, before=words).splitlines()
    assert [re.sub(r"loss \S+", "loss", line) for line in lines] == [
        "epoch 1: loss over 240 samples",
        "epoch 2: loss over 240 samples",
    ]


@pytest.mark.slow
def test_learning_rates_are_scanned(showers: Path, tmp_path: Path) -> None:
    first = run_example("scan_learning_rates.py", showers, tmp_path)
    runs = {rate: tmp_path / f"lr-{rate}" for rate in ("0.001", "0.003", "0.01")}
    losses = {str(run): float(re.search(rf"{run}: lowest validation loss (\S+)", first)[1]) for run in runs.values()}  # type: ignore[index]
    assert f"best: {min(losses, key=lambda run: losses[run])}" in first
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.mark.parametrize("name", ["slurm.sh", "slurm_nodes.sh"])
def test_the_slurm_scripts_are_valid_and_their_flags_exist(name: str) -> None:
    script = EXAMPLES / name
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text().replace("\\\n", " ")
    (training,) = re.findall(r"train-torch (.*?) \"\$", text)
    known = {f"--{name.replace('_', '-')}" for name in SETTINGS} | {"--resume"}
    used = set(re.findall(r"--[a-z-]+", training)) | set(re.findall(r"resume=\((--\S+)\)", text))
    assert "--resume" in used
    assert used <= known


@pytest.mark.parametrize("resumed", [False, True])
def test_the_slurm_script_resumes_a_run_that_is_there(tmp_path: Path, resumed: bool) -> None:
    (programs := tmp_path / "bin").mkdir()
    for name in ("torchrun", "evaluate"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    if resumed:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "config.json").touch()
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    words = ["bash", EXAMPLES / "slurm.sh", "store.zarr", "run"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    training, report = done.stdout.splitlines()
    assert training.startswith("torchrun --nproc-per-node 4 --no-python -- train-torch --store store.zarr --run run")
    assert training.endswith("--resume") == resumed
    assert report == "evaluate run --output run-report"


def test_the_script_for_several_nodes_starts_all_of_their_ranks_with_a_cache_on_each(tmp_path: Path) -> None:
    (programs := tmp_path / "bin").mkdir()
    commands = {"srun": '"$@"', "torchrun": 'echo "$CALOSTREAM_CACHE" "$@"', "scontrol": "echo a; echo b"}
    for name, command in {**commands, "evaluate": "true"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{command}\n")
        (programs / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "[a-b]", "SLURM_NNODES": "2", "TMPDIR": "/scratch"}
    environment = os.environ | slurm | {"PATH": f"{programs}:{os.environ['PATH']}"}
    words = ["bash", EXAMPLES / "slurm_nodes.sh", "s3://bucket/store.zarr", "run"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("/scratch/calostream-7 --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d ")
    assert "--rdzv-endpoint a:29500 --rdzv-id 7 --no-python -- train-torch --store s3://bucket/" in done.stdout

"""A run on a store at a URL: it records the URL, and the programs read the store there."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluate.cli import app
from evaluate.observables import read_observables
from store.locations import Url
from tests.examples import run_program
from tests.remote.conftest import upload
from train.baselines.cli import logistic_app as logistic


def test_observables_of_a_remote_store(remote_store: Url, local_store: Path) -> None:
    remote, local = read_observables(remote_store, "test"), read_observables(local_store, "test")
    assert [observable.name for observable in remote] == [observable.name for observable in local]
    for one, other in zip(remote, local, strict=True):
        np.testing.assert_array_equal(one.value, other.value)


@pytest.mark.slow
def test_a_run_on_a_remote_store(cache: Path, showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = upload(showers, Url("s3://showers/programs/showers.zarr"))
    run, report = tmp_path / "run", tmp_path / "report"
    outcomes = [run_program(logistic, None, "--store", url, "--run", run)]
    assert json.loads((run / "environment.json").read_text())["store"]["path"] == str(url)
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "another"))
    outcomes += [
        run_program(app, "report", "occlude", run, "--samples", 4),
        run_program(app, "report", run, "--output", report),
        run_program(app, "report", "score", run, url, "--output", tmp_path / "scores.csv"),
        run_program(app, "report", "compare", run, tmp_path / "scores.csv"),
    ]
    assert [outcome.status for outcome in outcomes] == [0] * 5, [outcome.err for outcome in outcomes]
    page = (report / "index.html").read_text()
    assert "cannot be read" not in page
    assert "Most confidently wrong" in page or "most confidently wrong" in page
